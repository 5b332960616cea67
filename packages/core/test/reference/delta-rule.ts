/** The (gated) delta rule in float64, one head and step at a time. */

/** Sizes of a fast-weight scan. */
export interface ScanSizes {
  readonly batch: number;
  readonly heads: number;
  readonly time: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

/** Everything that {@link deltaRuleReference} reads. */
export interface DeltaRuleValues {
  /** [batch, heads, time, keyDim]. */
  readonly q: ArrayLike<number>;
  readonly k: ArrayLike<number>;
  /** [batch, heads, time, valueDim]. */
  readonly v: ArrayLike<number>;
  /** [batch, heads, time]. */
  readonly beta: ArrayLike<number>;
  /** [batch, heads, time]: factors. Default: 1. */
  readonly decay?: ArrayLike<number>;
  /** [batch, heads, valueDim, keyDim]. Default: zeros. */
  readonly initialState?: ArrayLike<number>;
  /** [batch, time]: where the state is zero before the step. */
  readonly reset?: ArrayLike<number>;
}

/** Output [batch, heads, time, valueDim] and final state [batch, heads, valueDim, keyDim]. */
export function deltaRuleReference(
  { q, k, v, beta, decay, initialState, reset }: DeltaRuleValues,
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
  read: 'after' | 'before' = 'after',
): [output: Float64Array, finalState: Float64Array] {
  const output = new Float64Array(batch * heads * time * valueDim);
  const states = Float64Array.from(initialState ?? new Float64Array(batch * heads * valueDim * keyDim));
  for (let head = 0; head < batch * heads; head++) {
    const S = states.subarray(head * valueDim * keyDim, (head + 1) * valueDim * keyDim);
    /** S x for the row of `x` that belongs to a step. */
    const times = (x: ArrayLike<number>, step: number): number[] =>
      Array.from({ length: valueDim }, (_, i) => {
        let sum = 0;
        for (let j = 0; j < keyDim; j++) sum += S[i * keyDim + j]! * x[step * keyDim + j]!;
        return sum;
      });
    for (let t = 0; t < time; t++) {
      const step = head * time + t;
      if (reset?.[Math.floor(head / heads) * time + t]) S.fill(0);
      if (read === 'before') output.set(times(q, step), step * valueDim);
      for (let i = 0; i < S.length; i++) S[i] = S[i]! * (decay?.[step] ?? 1);
      const predicted = times(k, step);
      for (let i = 0; i < valueDim; i++) {
        const write = beta[step]! * (v[step * valueDim + i]! - predicted[i]!);
        for (let j = 0; j < keyDim; j++) S[i * keyDim + j] = S[i * keyDim + j]! + write * k[step * keyDim + j]!;
      }
      if (read === 'after') output.set(times(q, step), step * valueDim);
    }
  }
  return [output, states];
}
