/** Comparison of arrays of numbers, element by element, with a message that names the worst element. */

/** Tolerances of `assertAllClose`: an element passes when |actual − expected| ≤ atol + rtol·|expected|. */
export interface AllCloseOptions {
  /** Tolerance relative to the expected value; default 1e-5. */
  rtol?: number;
  /** Absolute tolerance; default 1e-6. */
  atol?: number;
  /** What is being compared, for the message. */
  name?: string;
  /** Shape of both arrays; if given, the message names the element by its coordinates. */
  shape?: readonly number[];
}

/**
 * Throws unless every element of `actual` is close to that of `expected`.
 *
 * Equal values pass whatever they are, so infinities of the same sign and NaN in the same place agree; a NaN or an
 * infinity on one side only fails.
 */
export function assertAllClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol = 1e-5, atol = 1e-6, name = 'values', shape }: AllCloseOptions = {},
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${name}: ${actual.length} elements, expected ${expected.length}`);
  }
  let failures = 0;
  let worst = -1;
  let worstExcess = 0;
  let maxError = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    if (Object.is(a, e) || a === e) continue;
    const error = Math.abs(a - e);
    // How many times the tolerance; NaN on either side counts as infinitely far.
    const excess = Number.isFinite(error) ? error / (atol + rtol * Math.abs(e)) : Infinity;
    if (Number.isFinite(error) && error > maxError) maxError = error;
    if (!(excess <= 1)) {
      failures++;
      if (worst < 0 || excess > worstExcess) {
        worst = i;
        worstExcess = excess;
      }
    }
  }
  if (failures === 0) return;
  throw new Error(
    `${name}: ${failures} of ${expected.length} elements differ (rtol ${rtol}, atol ${atol}); ` +
      `worst at ${coordinates(worst, shape)}: actual ${actual[worst]}, expected ${expected[worst]}, ` +
      `${worstExcess === Infinity ? 'not comparable' : `${worstExcess.toPrecision(3)} times the tolerance`}; ` +
      `largest finite error ${maxError.toPrecision(3)}`,
  );
}

/** `[2, 0, 5]` for an index into an array of a shape, or `[index]` without one. */
function coordinates(index: number, shape: readonly number[] | undefined): string {
  if (!shape) return `[${index}]`;
  const out: number[] = [];
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    out.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${out.join(', ')}]`;
}
