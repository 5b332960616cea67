/** When to validate, and when a validation loss had come near its best, as the paper measures the speed of training. */

/** A validation during training; plain JSON. */
export type Evaluation = { readonly step: number; readonly loss: number };

/** The settings that say when to validate. */
export interface EvaluationTimes {
  readonly steps: number;
  readonly evaluateEvery: number;
  /** Where early errors and used codes are measured. */
  readonly earlyStep: number;
}

/** Whether to validate after a step: every so many, where early errors are measured, and at the end. */
export function isEvaluated(step: number, { steps, evaluateEvery, earlyStep }: EvaluationTimes): boolean {
  return step % evaluateEvery === 0 || step === earlyStep || step === steps;
}

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

/** The last loss up to a step; NaN if there is none, in a run that was broken off. */
export function lossAt(evaluations: readonly Evaluation[], step: number): number {
  return evaluations.findLast((evaluation) => evaluation.step <= step)?.loss ?? Number.NaN;
}
