/** Feature maps in float64, one vector at a time, written as their equations. */

/** max(x, 0) + min(eˣ, 1), which is ELU(x) + 1. */
export function eluPlusOne(x: readonly number[]): number[] {
  return x.map((value) => (value > 0 ? value + 1 : Math.exp(value)));
}

export function relu(x: readonly number[]): number[] {
  return x.map((value) => Math.max(value, 0));
}

export function softmax(x: readonly number[]): number[] {
  const exponentials = x.map((value) => Math.exp(value - Math.max(...x)));
  return normalized(exponentials, 'sum', 0);
}

/** r_i r_(i − j) for j = 1 … ν, with r = [relu(x), relu(−x)]. */
export function dpfp(x: readonly number[], nu: number): number[] {
  const r = relu([...x, ...x.map((value) => -value)]);
  const n = r.length;
  return Array.from({ length: nu }, (_, j) => r.map((value, i) => value * r[(i - j - 1 + n) % n]!)).flat();
}

/** ([exp(u − h), exp(−u − h)] + floor) / √(2m), with u = x Ω and h = ‖x‖² / 2; Ω by rows, [size][m]. */
export function favorPlus(x: readonly number[], projection: readonly (readonly number[])[], floor: number): number[] {
  const m = projection[0]!.length;
  const h = x.reduce((sum, value) => sum + value * value, 0) / 2;
  const u = Array.from({ length: m }, (_, j) => x.reduce((sum, value, i) => sum + value * projection[i]![j]!, 0));
  const exponents = [...u.map((value) => value - h), ...u.map((value) => -value - h)];
  return exponents.map((exponent) => (Math.exp(exponent) + floor) / Math.sqrt(2 * m));
}

/** φ, φ / (Σ φ + ε), or φ / √(Σ φ² + ε). */
export function normalized(features: readonly number[], normalization: string, epsilon: number): number[] {
  if (normalization === 'none') return [...features];
  const sum = features.reduce((total, value) => total + value ** (normalization === 'sum' ? 1 : 2), 0);
  const divisor = normalization === 'sum' ? sum + epsilon : Math.sqrt(sum + epsilon);
  return features.map((value) => value / divisor);
}
