/** Linear attention and its relatives in float64, step by step, for one head after the other. */

import type { ScanSizes } from './delta-rule.ts';

/** Inputs of {@link sumRuleReference}. */
export interface SumRuleValues {
  /** [batch, heads, time, keyDim]. */
  readonly q: Float64Array;
  readonly k: Float64Array;
  /** [batch, heads, time, valueDim]. */
  readonly v: Float64Array;
  /** [batch, heads, time] or [batch, heads, time, keyDim]. */
  readonly decay?: Float64Array;
  /** [batch, heads, valueDim, keyDim]. */
  readonly initialState?: Float64Array;
  /** [batch, heads, keyDim]. */
  readonly initialNormalizer?: Float64Array;
  /** [batch, time]. */
  readonly reset?: ArrayLike<number>;
}

/** How {@link sumRuleReference} reads. */
export interface SumRuleReading {
  readonly read?: 'after' | 'before';
  /** The denominator of step `at` (counted through all heads) as a function of z · q. */
  readonly denominator?: (zq: number, at: number) => number;
}

/** Output, final state and final normaliser of S_t = S_{t-1} diag(a_t) + v_t k_tᵀ, z_t = a_t ∘ z_{t-1} + k_t, y_t = S_t q_t / D(z_t · q_t). */
export function sumRuleReference(
  { q, k, v, decay, initialState, initialNormalizer, reset }: SumRuleValues,
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
  { read = 'after', denominator = () => 1 }: SumRuleReading = {},
): [output: Float64Array, finalState: Float64Array, finalNormalizer: Float64Array] {
  const states = batch * heads * valueDim * keyDim;
  const output = new Float64Array(batch * heads * time * valueDim);
  const finalState = initialState === undefined ? new Float64Array(states) : Float64Array.from(initialState);
  const finalNormalizer =
    initialNormalizer === undefined ? new Float64Array(batch * heads * keyDim) : Float64Array.from(initialNormalizer);
  const width = (decay?.length ?? 0) / (batch * heads * time);
  for (let head = 0; head < batch * heads; head++) {
    const S = finalState.subarray(head * valueDim * keyDim, (head + 1) * valueDim * keyDim);
    const z = finalNormalizer.subarray(head * keyDim, (head + 1) * keyDim);
    for (let t = 0; t < time; t++) {
      const at = head * time + t;
      if (reset?.[Math.floor(head / heads) * time + t]) {
        S.fill(0);
        z.fill(0);
      }
      const readOut = () => {
        let zq = 0;
        for (let d = 0; d < keyDim; d++) zq += z[d]! * q[at * keyDim + d]!;
        for (let j = 0; j < valueDim; j++) {
          let sum = 0;
          for (let d = 0; d < keyDim; d++) sum += S[j * keyDim + d]! * q[at * keyDim + d]!;
          output[at * valueDim + j] = sum / denominator(zq, at);
        }
      };
      if (read === 'before') readOut();
      for (let d = 0; d < keyDim; d++) {
        const a = decay === undefined ? 1 : decay[at * width + (width > 1 ? d : 0)]!;
        const key = k[at * keyDim + d]!;
        z[d] = a * z[d]! + key;
        for (let j = 0; j < valueDim; j++) S[j * keyDim + d] = a * S[j * keyDim + d]! + v[at * valueDim + j]! * key;
      }
      if (read === 'after') readOut();
    }
  }
  return [output, finalState, finalNormalizer];
}

/** Gradients of Σ dOutput · output + Σ dFinalState · finalState for q, k, v, decay and initial state: back through all stored states. */
export function sumRuleGradients(
  values: SumRuleValues & { readonly initialState: Float64Array; readonly decay: Float64Array },
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
  dOutput: ArrayLike<number>,
  dFinalState: ArrayLike<number>,
): Record<'q' | 'k' | 'v' | 'decay' | 'initialState', Float64Array> {
  const { q, k, v, decay, initialState } = values;
  const [dq, dk, dv, dDecay] = [q, k, v, decay].map((x) => new Float64Array(x.length)) as [Float64Array, ...Three];
  const dInitialState = Float64Array.from(dFinalState);
  const width = decay.length / (batch * heads * time);
  const size = valueDim * keyDim;
  for (let head = 0; head < batch * heads; head++) {
    const states = [initialState.slice(head * size, (head + 1) * size)];
    const factor = (at: number, d: number) => decay[at * width + (width > 1 ? d : 0)]!;
    for (let t = 0; t < time; t++) {
      const at = head * time + t;
      states.push(
        states[t]!.map(
          (s, i) =>
            factor(at, i % keyDim) * s + v[at * valueDim + Math.floor(i / keyDim)]! * k[at * keyDim + (i % keyDim)]!,
        ),
      );
    }
    const G = dInitialState.subarray(head * size, (head + 1) * size);
    for (let t = time - 1; t >= 0; t--) {
      const at = head * time + t;
      for (let j = 0; j < valueDim; j++) {
        for (let d = 0; d < keyDim; d++) {
          const i = j * keyDim + d;
          dq[at * keyDim + d]! += states[t + 1]![i]! * dOutput[at * valueDim + j]!;
          G[i]! += dOutput[at * valueDim + j]! * q[at * keyDim + d]!;
          dk[at * keyDim + d]! += G[i]! * v[at * valueDim + j]!;
          dv[at * valueDim + j]! += G[i]! * k[at * keyDim + d]!;
          dDecay[at * width + (width > 1 ? d : 0)]! += G[i]! * states[t]![i]!;
          G[i]! *= factor(at, d);
        }
      }
    }
  }
  return { q: dq, k: dk, v: dv, decay: dDecay, initialState: dInitialState };
}

type Three = [Float64Array, Float64Array, Float64Array];
