/** The quantiser's training step in float64 as the paper has it: with one-hot assignments and H as a matrix. */

/** A codebook with its averages. */
export interface State {
  readonly codebook: number[][];
  readonly sums: number[][];
  readonly counts: number[];
}

/** Product of two matrices. */
export function product(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[][] {
  const columns = b[0]?.length ?? 0;
  return a.map((row) =>
    Array.from({ length: columns }, (_, j) => row.reduce((sum, x, i) => sum + x * (b[i]?.[j] as number), 0)),
  );
}

/** The transposed matrix. */
export function transposed(a: readonly (readonly number[])[]): number[][] {
  return (a[0] as number[]).map((_, j) => a.map((row) => row[j] as number));
}

/** Indices of the nearest codes. */
export function winners(vectors: readonly (readonly number[])[], codebook: readonly (readonly number[])[]): number[] {
  return vectors.map((z) => {
    const distances = codebook.map((w) => w.reduce((sum, x, i) => sum + (x - (z[i] as number)) ** 2, 0));
    return distances.indexOf(Math.min(...distances));
  });
}

/** Ē = E H, n = Σ Ē, c and m averaged, c smoothed, w = m / c. */
export function trainingStep(
  { codebook, sums, counts }: State,
  vectors: readonly (readonly number[])[],
  matrix: readonly (readonly number[])[],
  { decay, epsilon }: { decay: number; epsilon: number },
): State {
  const oneHot = winners(vectors, codebook).map((winner) => codebook.map((_, k) => (k === winner ? 1 : 0)));
  const spread = product(oneHot, matrix);
  const n = codebook.map((_, k) => spread.reduce((sum, row) => sum + (row[k] as number), 0));
  const c = counts.map((count, k) => decay * count + (1 - decay) * (n[k] as number));
  const total = c.reduce((sum, count) => sum + count, 0);
  const smoothed = c.map((count) => ((count + epsilon) / (total + c.length * epsilon)) * total);
  const s = product(transposed(spread), vectors);
  const m = sums.map((row, k) => row.map((x, i) => decay * x + (1 - decay) * (s[k]?.[i] as number)));
  return { codebook: m.map((row, k) => row.map((x) => x / (smoothed[k] as number))), sums: m, counts: smoothed };
}
