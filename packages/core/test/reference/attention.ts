/** Softmax attention in float64, one query at a time, over the keys that it may see. */

/** Sizes of {@link attentionReference}. */
export interface AttentionSizes {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
}

/** What changes the scores, as functions of batch element, head, query and key. */
export interface AttentionScores {
  readonly scale: number;
  readonly allowed: (b: number, h: number, i: number, j: number) => boolean;
  readonly bias: (b: number, h: number, i: number, j: number) => number;
}

/** q [batch, heads, queries, dim], k [batch, heads, keys, dim], v [batch, heads, keys, valueDim] → [batch, heads, queries, valueDim]. */
export function attentionReference(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  { batch, heads, queries, keys, dim, valueDim }: AttentionSizes,
  { scale, allowed, bias }: AttentionScores,
): Float64Array {
  const output = new Float64Array(batch * heads * queries * valueDim);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const head = b * heads + h;
      for (let i = 0; i < queries; i++) {
        const row = head * queries + i;
        const seen: { key: number; score: number }[] = [];
        for (let j = 0; j < keys; j++) {
          const key = head * keys + j;
          if (!allowed(b, h, i, j)) continue;
          let score = 0;
          for (let d = 0; d < dim; d++) score += q[row * dim + d]! * k[key * dim + d]!;
          seen.push({ key, score: scale * score + bias(b, h, i, j) });
        }
        const most = Math.max(...seen.map(({ score }) => score));
        const total = seen.reduce((sum, { score }) => sum + Math.exp(score - most), 0);
        for (const { key, score } of seen) {
          const weight = Math.exp(score - most) / total;
          for (let d = 0; d < valueDim; d++) output[row * valueDim + d]! += weight * v[key * valueDim + d]!;
        }
      }
    }
  }
  return output;
}
