/** float64 references of elementwise functions, by tfjs kernel name; correct to far below a float32 ulp. */

/** 2/√π Σ (−1)^n x^(2n+1) / (n! (2n+1)) for |x| < 3, and 1 − erfc from a continued fraction beyond. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const a = Math.abs(x);
  if (a >= 3) return Math.sign(x) * (1 - erfc(a));
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && term !== 0; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return a < 1e-160 ? (2 / Math.sqrt(Math.PI)) * x : (2 / Math.sqrt(Math.PI)) * sum;
}

/** 1 − erf(x), with full relative accuracy in the right tail (Lentz's continued fraction from 2 on). */
export function erfc(x: number): number {
  if (x < 2) return x < 0 ? 2 - erfc(-x) : 1 - erf(x);
  if (x > 28) return 0;
  // erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))), from the inside out.
  let fraction = x;
  for (let k = 400; k >= 1; k--) fraction = x + k / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

function sigmoid(x: number): number {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

const gaussian = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const slope = Math.sqrt(2 / Math.PI);

/** Functions of one number by tfjs kernel name; Gelu and its like by their usual names. */
export const elementwiseReferences: Readonly<Record<string, (x: number) => number>> = {
  Exp: Math.exp,
  Expm1: Math.expm1,
  Log: Math.log,
  Log1p: Math.log1p,
  Sqrt: Math.sqrt,
  Rsqrt: (x) => 1 / Math.sqrt(x),
  Sin: Math.sin,
  Cos: Math.cos,
  Tanh: Math.tanh,
  Sigmoid: sigmoid,
  Softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  Erf: erf,
  /** x Φ(x). */
  Gelu: (x) => (x < -40 ? -0 : x === 0 ? x : (x * erfc(-x / Math.SQRT2)) / 2),
  GeluGrad: (x) => erfc(-x / Math.SQRT2) / 2 + x * gaussian(x),
  /** x σ(2u), u = √(2/π) (x + 0.044715 x³). */
  GeluTanh: (x) => (x < -40 ? -0 : x > 40 ? x : x * sigmoid(2 * slope * (x + 0.044715 * x ** 3))),
  GeluTanhGrad: (x) => {
    const u = slope * (x + 0.044715 * x ** 3);
    return sigmoid(2 * u) + x * sigmoid(2 * u) * sigmoid(-2 * u) * 2 * slope * (1 + 3 * 0.044715 * x * x);
  },
};
