/** When a validation loss had come near its best, as the paper measures the speed of training. */

/** A validation during training; plain JSON. */
export type Evaluation = { readonly step: number; readonly loss: number };

/**
 * The first step at which the loss was at most (1 + `above`) times the least of the whole run.
 *
 * @param evaluations in the order of steps
 * @returns NaN if there are none
 */
export function firstWithin(evaluations: readonly Evaluation[], above: number): number {
  const best = Math.min(...evaluations.map(({ loss }) => loss));
  return evaluations.find(({ loss }) => loss <= (1 + above) * best)?.step ?? Number.NaN;
}

/** The last loss up to a step, or else the first one; NaN if there is none, in a run that was broken off. */
export function lossAt(evaluations: readonly Evaluation[], step: number): number {
  const known = evaluations.filter((evaluation) => evaluation.step <= step);
  return (known.at(-1) ?? evaluations[0])?.loss ?? Number.NaN;
}
