/** Multi-head self-attention with its projections and positions, in float64, written as its equations. */

import { attentionReference } from './attention.ts';
import { linearReference } from './linear.ts';

/** Parameters by the names of the module's `stateDict()`. */
export type Weights = Readonly<Record<string, ArrayLike<number>>>;

/** Sizes and settings of {@link multiHeadReference}. */
export interface MultiHeadSettings {
  readonly batch: number;
  readonly length: number;
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly outputSize: number;
  readonly causal: boolean;
  readonly positions: 'none' | 'rotary' | 'relative' | 'relativeLearned';
  readonly maxDistance: number;
  /** Whether key j of batch element b is no padding. */
  readonly present: (b: number, j: number) => boolean;
}

/** x [batch, length, size] → [batch, length, outputSize]. */
export function multiHeadReference(x: ArrayLike<number>, weights: Weights, settings: MultiHeadSettings): Float64Array {
  const { batch, length, size, heads, headSize, outputSize, causal, positions, present } = settings;
  const width = heads * headSize;
  const qkv = linearReference(
    x,
    weights['queryKeyValue.weight']!,
    weights['queryKeyValue.bias'],
    size,
    3 * width,
    'none',
  );
  /** Element d of the query (part 0), key (1) or value (2). */
  const raw = (part: number, b: number, h: number, t: number, d: number): number =>
    qkv[((b * length + t) * 3 + part) * width + h * headSize + d]!;
  const half = headSize / 2;
  const rotated = (part: number, b: number, h: number, t: number, d: number): number => {
    const i = d % half;
    const angle = t * 10_000 ** ((-2 * i) / headSize);
    const first = raw(part, b, h, t, i);
    const second = raw(part, b, h, t, i + half);
    return d < half
      ? first * Math.cos(angle) - second * Math.sin(angle)
      : second * Math.cos(angle) + first * Math.sin(angle);
  };
  const gather = (part: number): Float64Array => {
    const element = positions === 'rotary' && part < 2 ? rotated : raw;
    const values = new Float64Array(batch * heads * length * headSize);
    let at = 0;
    for (let b = 0; b < batch; b++) {
      for (let h = 0; h < heads; h++) {
        for (let t = 0; t < length; t++) {
          for (let d = 0; d < headSize; d++) values[at++] = element(part, b, h, t, d);
        }
      }
    }
    return values;
  };
  const scale = 1 / Math.sqrt(headSize);
  const relative = positions === 'relative' || positions === 'relativeLearned';
  /** (q_i + w) · r_{i − j} + u · k_j, which relative positions add to q · k. */
  const added = (b: number, h: number, i: number, j: number): number => {
    if (!relative) return 0;
    const r = distanceVector(i - j, weights, settings);
    let sum = 0;
    for (let d = 0; d < headSize; d++) {
      sum +=
        (raw(0, b, h, i, d) + weights['relativePositions.positionBias']![h * headSize + d]!) * r[h * headSize + d]!;
      sum += weights['relativePositions.contentBias']![h * headSize + d]! * raw(1, b, h, j, d);
    }
    return scale * sum;
  };
  const sizes = { batch, heads, queries: length, keys: length, dim: headSize, valueDim: headSize };
  const heard = attentionReference(gather(0), gather(1), gather(2), sizes, {
    scale,
    allowed: (b, _h, i, j) => present(b, j) && (!causal || j <= i),
    bias: added,
  });
  const joined = new Float64Array(batch * length * width);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let t = 0; t < length; t++) {
        for (let d = 0; d < headSize; d++) {
          joined[(b * length + t) * width + h * headSize + d] = heard[((b * heads + h) * length + t) * headSize + d]!;
        }
      }
    }
  }
  return linearReference(joined, weights['output.weight']!, weights['output.bias'], width, outputSize, 'none');
}

/** r for one distance, all heads. */
function distanceVector(distance: number, weights: Weights, settings: MultiHeadSettings): ArrayLike<number> {
  const { size, heads, headSize, positions, maxDistance } = settings;
  const table = weights['relativePositions.weight']!;
  const width = heads * headSize;
  if (positions === 'relativeLearned') {
    const row = Math.max(-maxDistance, Math.min(maxDistance, distance)) + maxDistance;
    return Array.from({ length: width }, (_, i) => table[row * width + i]!);
  }
  const half = Math.ceil(size / 2);
  const sinusoid = Array.from({ length: size }, (_, i) => {
    const angle = distance * 10_000 ** ((-2 * (i % half)) / size);
    return i < half ? Math.sin(angle) : Math.cos(angle);
  });
  return linearReference(sinusoid, table, undefined, size, width, 'none');
}
