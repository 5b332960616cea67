/** Oja's rule in float64, one head and step at a time. */

import type { DeltaRuleValues, ScanSizes } from './delta-rule.ts';

/** Output and final state of S_t = S_{t-1} + β_t v_t (k_t − S_{t-1}ᵀ v_t)ᵀ, y_t = S_t q_t. */
export function ojaRuleReference(
  { q, k, v, beta, initialState, reset }: Omit<DeltaRuleValues, 'decay'>,
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
  read: 'after' | 'before' = 'after',
): [output: Float64Array, finalState: Float64Array] {
  const output = new Float64Array(batch * heads * time * valueDim);
  const states = Float64Array.from(initialState ?? new Float64Array(batch * heads * valueDim * keyDim));
  for (let head = 0; head < batch * heads; head++) {
    const S = states.subarray(head * valueDim * keyDim, (head + 1) * valueDim * keyDim);
    for (let t = 0; t < time; t++) {
      const at = head * time + t;
      if (reset?.[Math.floor(head / heads) * time + t]) S.fill(0);
      const readOut = () => {
        for (let j = 0; j < valueDim; j++) {
          for (let d = 0; d < keyDim; d++) output[at * valueDim + j]! += S[j * keyDim + d]! * q[at * keyDim + d]!;
        }
      };
      if (read === 'before') readOut();
      const errors = Array.from({ length: keyDim }, (_, d) => {
        let predicted = 0;
        for (let j = 0; j < valueDim; j++) predicted += S[j * keyDim + d]! * v[at * valueDim + j]!;
        return k[at * keyDim + d]! - predicted;
      });
      for (let j = 0; j < valueDim; j++) {
        for (let d = 0; d < keyDim; d++) S[j * keyDim + d]! += beta[at]! * v[at * valueDim + j]! * errors[d]!;
      }
      if (read === 'after') readOut();
    }
  }
  return [output, states];
}
