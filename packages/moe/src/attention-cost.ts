/**
 * What one attention layer costs for one sequence, as the tables of SwitchHead's paper count it (Csordás, Piękos, Irie & Schmidhuber,
 * 2023, appendix A.2): multiply-adds and stored floats. With T = length, C segments in sight (2 with the memory of Transformer-XL),
 * d = size, H heads of size h, E experts of which k are active,
 *
 *                  multiply-adds                                           floats
 *     dense        H (4Thd + 2CThd + 2CT²h)                                H (4Th + 2CT² + 2CTh)
 *     SwitchHead   H (4Thd + 2Tkh(d + 1) + 2CT²h) + 2ECTd                  H (4Th + 2CT² + 2Th) + 2ECT
 *
 * The numbers that the paper reports are those of its code, which are these: it counts the positions of one segment only, and the
 * routers of one head. The paper's equation 13 gives others.
 */

/** Sizes of an attention layer. */
export interface AttentionSizes {
  readonly heads: number;
  readonly headSize: number;
  readonly size: number;
  /** Elements of a segment. */
  readonly length: number;
  /** Segments in sight. Default 2. */
  readonly segments?: number;
}

/** Cost of a layer for one sequence. */
export interface AttentionCost {
  readonly multiplyAdds: number;
  readonly floats: number;
}

/** Dense attention with relative positions. */
export function denseAttentionCost({ heads, headSize, size, length, segments = 2 }: AttentionSizes): AttentionCost {
  const scores = segments * length ** 2;
  return {
    multiplyAdds: heads * headSize * ((4 + 2 * segments) * length * size + 2 * scores),
    floats: heads * (4 * length * headSize + 2 * scores + 2 * segments * length * headSize),
  };
}

/** SwitchHead with relative positions; `experts` of a head, of which `active` work. */
export function switchHeadCost(
  { heads, headSize, size, length, segments = 2 }: AttentionSizes,
  { experts, active }: { readonly experts: number; readonly active: number },
): AttentionCost {
  const scores = segments * length ** 2;
  const maps = 4 * length * headSize * size + 2 * length * active * headSize * (size + 1);
  return {
    multiplyAdds: heads * (maps + 2 * scores * headSize) + 2 * experts * size * segments * length,
    floats: heads * (4 * length * headSize + 2 * scores + 2 * length * headSize) + 2 * experts * segments * length,
  };
}
