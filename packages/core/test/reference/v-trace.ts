/** V-trace in float64, straight from the sum of equation 1 of Espeholt et al. (2018), without its recursive form. */

/** Everything that {@link vTraceReference} reads: one sequence. */
export interface VTraceValues {
  readonly logRhos: ArrayLike<number>;
  readonly discounts: ArrayLike<number>;
  readonly rewards: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  readonly bootstrapValue: number;
}

/** Targets and advantages of one sequence. */
export function vTraceReference(
  { logRhos, discounts, rewards, values, bootstrapValue }: VTraceValues,
  { rhoClip, cClip }: { readonly rhoClip: number; readonly cClip: number },
): [targets: Float64Array, advantages: Float64Array] {
  const time = values.length;
  const valueAt = (t: number) => (t < time ? values[t]! : bootstrapValue);
  const rho = (t: number) => Math.min(rhoClip, Math.exp(logRhos[t]!));
  const delta = (t: number) => rho(t) * (rewards[t]! + discounts[t]! * valueAt(t + 1) - valueAt(t));
  const target = (from: number): number => {
    let sum = valueAt(from);
    let factor = 1;
    for (let t = from; t < time; t++) {
      sum += factor * delta(t);
      factor *= discounts[t]! * Math.min(cClip, Math.exp(logRhos[t]!));
    }
    return sum;
  };
  const advantage = (t: number) => rho(t) * (rewards[t]! + discounts[t]! * target(t + 1) - values[t]!);
  const steps = Array.from({ length: time }, (_, t) => t);
  return [Float64Array.from(steps, target), Float64Array.from(steps, advantage)];
}
