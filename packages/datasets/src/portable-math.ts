/**
 * Powers, sines and cosines with the same bits on every platform. `Math.pow`, `Math.log`, `Math.sin` and their like may
 * differ in their last bits from one engine to the next; what decides the bytes of a task must not. Here are only +, −, ·, /
 * of float64, which IEEE 754 defines to the last bit.
 */

/** `base` to the power of `exponent`, for a base above 0. Relative error below 10⁻¹³ for results from 10⁻¹⁰⁰ to 10¹⁰⁰. */
export function power(base: number, exponent: number): number {
  return exponential(exponent * logarithm(base));
}

/** ln x = k ln 2 + 2 artanh((m − 1)/(m + 1)) with x = m · 2ᵏ and m in [¾, 1½). */
function logarithm(x: number): number {
  let m = x;
  let k = 0;
  for (; m >= 1.5; k++) m /= 2;
  for (; m < 0.75; k--) m *= 2;
  const s = (m - 1) / (m + 1);
  let sum = 0;
  for (let n = 31; n >= 1; n -= 2) sum = sum * s * s + 1 / n;
  return k * Math.LN2 + 2 * s * sum;
}

/** eˣ = 2ᵏ eʳ with r = x − k ln 2 in [−½ ln 2, ½ ln 2]. */
function exponential(x: number): number {
  const k = Math.round(x / Math.LN2);
  const r = x - k * Math.LN2;
  let sum = 1;
  for (let n = 18; n >= 1; n--) sum = 1 + (r / n) * sum;
  for (let i = 0; i < k; i++) sum *= 2;
  for (let i = 0; i > k; i--) sum /= 2;
  return sum;
}

/** The sine of an angle from −1 to 1 (in radians), by its series. Error below 10⁻¹⁵. */
export function sine(angle: number): number {
  let sum = 1;
  for (let n = 18; n >= 2; n -= 2) sum = 1 - ((angle * angle) / (n * (n + 1))) * sum;
  return angle * sum;
}

/** The cosine of an angle from −1 to 1 (in radians), by its series. Error below 10⁻¹⁵. */
export function cosine(angle: number): number {
  let sum = 1;
  for (let n = 17; n >= 1; n -= 2) sum = 1 - ((angle * angle) / (n * (n + 1))) * sum;
  return sum;
}
