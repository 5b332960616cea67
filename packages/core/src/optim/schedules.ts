/**
 * Learning-rate schedules: functions from the number of updates made so far (0, 1, 2, …) to the factor by which the
 * learning rate of the next update is multiplied. A warm-up of `w` updates rises through 1/w, 2/w, … to 1, so that the
 * first update already moves.
 */

import { assertCount, assertNumber } from '../shape-checks.ts';

/** Factor of the learning rate for the update after `step` updates. */
export type Schedule = (step: number) => number;

/** Always the same factor, 1 unless said otherwise. */
export function constant(factor = 1): Schedule {
  assertNumber('constant: factor', factor, 0);
  return () => factor;
}

/** From 1/steps to 1 in `steps` updates, then 1. */
export function linearWarmup(steps: number): Schedule {
  assertCount('linearWarmup: steps', steps, 0);
  return (step) => Math.min(1, (step + 1) / Math.max(1, steps));
}

/** From 1 in a straight line to `final` (default 0) at update `steps`, then `final`. */
export function linearDecay(steps: number, final = 0): Schedule {
  assertCount('linearDecay: steps', steps);
  assertNumber('linearDecay: final', final, 0);
  return (step) => 1 + (final - 1) * Math.min(1, step / steps);
}

/** Half a cosine from 1 to `final` (default 0) at update `steps`, then `final` (Loshchilov and Hutter, SGDR, 2017). */
export function cosineDecay(steps: number, final = 0): Schedule {
  assertCount('cosineDecay: steps', steps);
  assertNumber('cosineDecay: final', final, 0);
  return (step) => final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, step / steps)));
}

/**
 * 1 but for the last `cooldown` of `steps` updates, which go in a straight line to `final` (default 0): weights that move far until
 * shortly before the end, and come to rest there (Hu et al., MiniCPM, 2024, section 4.2).
 */
export function linearCooldown(steps: number, cooldown: number, final = 0): Schedule {
  assertCount('linearCooldown: cooldown', cooldown, 0);
  assertCount('linearCooldown: steps', steps, cooldown);
  assertNumber('linearCooldown: final', final, 0);
  return (step) => 1 + (final - 1) * Math.min(1, Math.max(0, (step - steps + cooldown) / Math.max(1, cooldown)));
}

/** A linear warm-up of `warmup` updates, then {@link linearDecay} to `final` at update `steps`. */
export function warmupLinear(warmup: number, steps: number, final = 0): Schedule {
  return afterWarmup('warmupLinear', warmup, steps, () => linearDecay(steps - warmup, final));
}

/** A linear warm-up of `warmup` updates, then {@link cosineDecay} to `final` at update `steps`. */
export function warmupCosine(warmup: number, steps: number, final = 0): Schedule {
  return afterWarmup('warmupCosine', warmup, steps, () => cosineDecay(steps - warmup, final));
}

/**
 * A linear warm-up of `warmup` updates, then √(warmup / n) for the n-th update (Vaswani et al., Attention Is All You
 * Need, 2017, equation 3, scaled to a peak of 1).
 */
export function inverseSquareRoot(warmup: number): Schedule {
  assertCount('inverseSquareRoot: warmup', warmup);
  return (step) => Math.min((step + 1) / warmup, Math.sqrt(warmup / (step + 1)));
}

function afterWarmup(name: string, warmup: number, steps: number, makeDecay: () => Schedule): Schedule {
  assertCount(`${name}: warmup`, warmup, 0);
  assertCount(`${name}: steps`, steps, warmup + 1);
  const decay = makeDecay();
  return (step) => (step < warmup ? (step + 1) / warmup : decay(step - warmup));
}
