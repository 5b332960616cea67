/** Update rules in float64, one head and one step at a time, written as their equations. */

/** Flat arrays: q, k `[batch, heads, time, keyDim]`, v `[…, valueDim]`, beta `[batch, heads, time]`, S `[…, valueDim, keyDim]`. */
export interface Sequences {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly beta: Float64Array;
  readonly initialState: Float64Array;
}

export interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly time: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

export type Vector = readonly number[];
/** Rows of a matrix. */
export type Matrix = readonly Vector[];

export const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
/** S x */
export const times = (S: Matrix, x: Vector): number[] => S.map((row) => dot(row, x));
/** S + a bᵀ */
export const plusOuter = (S: Matrix, a: Vector, b: Vector): number[][] =>
  S.map((row, i) => row.map((x, j) => x + a[i]! * b[j]!));
/** c x */
export const scaled = (x: Vector, c: number): number[] => x.map((value) => c * value);
export const minus = (a: Vector, b: Vector): number[] => a.map((x, i) => x - b[i]!);
export const zeros = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));

/** (x − mean) / √(variance + ε) */
export function layerNorm(x: Vector, epsilon: number): number[] {
  const mean =
    dot(
      x,
      x.map(() => 1),
    ) / x.length;
  const centered = x.map((value) => value - mean);
  return scaled(centered, 1 / Math.sqrt(dot(centered, centered) / x.length + epsilon));
}

/** S ← S − (S k) kᵀ + (β v + (1 − β) S k) kᵀ, then S / max(1, ‖S‖); y = LayerNorm(S q). */
export function fastWeightMemoryReference(
  { q, k, v, beta, initialState }: Sequences,
  { batch, heads, time, keyDim, valueDim }: Sizes,
  epsilon: number,
): { output: Float64Array; finalState: Float64Array; norms: number[] } {
  const output: number[] = [];
  const finalState: number[] = [];
  const norms: number[] = [];
  const row = (x: Float64Array, index: number, size: number): number[] =>
    Array.from(x.subarray(index * size, (index + 1) * size));
  for (let head = 0; head < batch * heads; head++) {
    let S: number[][] = Array.from({ length: valueDim }, (_, i) => row(initialState, head * valueDim + i, keyDim));
    for (let t = 0; t < time; t++) {
      const at = head * time + t;
      const [key, value, strength] = [row(k, at, keyDim), row(v, at, valueDim), beta[at]!];
      const old = times(S, key);
      S = plusOuter(S, scaled(old, -1), key);
      S = plusOuter(S, minus(scaled(value, strength), scaled(old, strength - 1)), key);
      const norm = Math.sqrt(S.reduce((sum, r) => sum + dot(r, r), 0));
      norms.push(norm);
      S = S.map((r) => scaled(r, 1 / (Math.max(norm - 1, 0) + 1)));
      output.push(...layerNorm(times(S, row(q, at, keyDim)), epsilon));
    }
    finalState.push(...S.flat());
  }
  return { output: Float64Array.from(output), finalState: Float64Array.from(finalState), norms };
}
