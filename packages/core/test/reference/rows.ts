/**
 * Softmax, normalisation and cross-entropy in float64, written as their equations. Matrices are arrays of rows.
 */

/** One row of numbers. */
export type Row = readonly number[];

/** Cuts an array into rows of `length`. */
export function toRows(values: ArrayLike<number>, length: number): number[][] {
  return Array.from({ length: values.length / length }, (_, i) =>
    Array.from({ length }, (_, j) => values[i * length + j] as number),
  );
}

function sum(row: Row): number {
  return row.reduce((total, value) => total + value, 0);
}

/** ln Σ exp(x) */
export function logSumExp(row: Row): number {
  const most = Math.max(...row);
  return most + Math.log(sum(row.map((x) => Math.exp(x - most))));
}

/** exp(x − max x) / Σ exp(x − max x) */
export function softmax(row: Row): number[] {
  const most = Math.max(...row);
  const total = sum(row.map((x) => Math.exp(x - most)));
  return row.map((x) => Math.exp(x - most) / total);
}

/** x − max x − ln Σ exp(x − max x) */
export function logSoftmax(row: Row): number[] {
  const most = Math.max(...row);
  const logTotal = Math.log(sum(row.map((x) => Math.exp(x - most))));
  return row.map((x) => x - most - logTotal);
}

/** (x − mean x) / √(var x + ε) · gain + bias */
export function layerNorm(row: Row, gain: Row, bias: Row, epsilon: number): number[] {
  const mean = sum(row) / row.length;
  const variance = sum(row.map((x) => (x - mean) ** 2)) / row.length;
  return row.map((x, j) => ((x - mean) / Math.sqrt(variance + epsilon)) * gain[j]! + bias[j]!);
}

/** x / √(mean x² + ε) · gain */
export function rmsNorm(row: Row, gain: Row, epsilon: number): number[] {
  const meanSquare = sum(row.map((x) => x * x)) / row.length;
  return row.map((x, j) => (x / Math.sqrt(meanSquare + epsilon)) * gain[j]!);
}

/** lse − (1 − ε) z[target] − ε mean z */
export function crossEntropy(row: Row, target: number, labelSmoothing: number): number {
  return logSumExp(row) - (1 - labelSmoothing) * row[target]! - (labelSmoothing * sum(row)) / row.length;
}

/** Σ over rows of dtable: the rows of dy, added to the rows of a zero table that `ids` name. */
export function embeddingGradient(dy: readonly Row[], ids: readonly number[], rows: number): number[][] {
  const table = Array.from({ length: rows }, () => new Array<number>(dy[0]?.length ?? 0).fill(0));
  dy.forEach((row, i) => {
    row.forEach((value, j) => {
      table[ids[i]!]![j]! += value;
    });
  });
  return table;
}

/** Gradient of a scalar function by central differences in float64; error around 1e-9 for smooth functions. */
export function numericGradient(loss: (x: number[]) => number, x: ArrayLike<number>, step = 1e-5): number[] {
  const values = Array.from(x);
  return values
    .map((value, i) => loss(values.with(i, value + step)) - loss(values.with(i, value - step)))
    .map((difference) => difference / (2 * step));
}

/** Derivative of a scalar function along a direction, by central differences in float64. */
export function directionalDerivative(
  loss: (x: number[]) => number,
  x: ArrayLike<number>,
  direction: ArrayLike<number>,
  step = 1e-5,
): number {
  const move = (t: number): number[] => Array.from(x, (value, i) => value + t * (direction[i] as number));
  return (loss(move(step)) - loss(move(-step))) / (2 * step);
}

/** Σ a b */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += (a[i] as number) * (b[i] as number);
  return total;
}

/** Repeatable numbers in [-1, 1) that look random. */
export function noise(length: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}
