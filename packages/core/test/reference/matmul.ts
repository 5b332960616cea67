/** C[…, i, j] = Σ_k A[…, i, k] B[…, k, j] in float64, with leading dimensions that broadcast. */

/** A dense row-major array. */
export interface Dense {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Result, and for each element the sum of absolute products: what rounding errors are relative to. */
export interface ProductWithScale {
  readonly shape: number[];
  readonly values: Float64Array;
  readonly scale: Float64Array;
}

/** The product of A (or its transpose) and B (or its transpose). */
export function matmulReference(a: Dense, b: Dense, transposeA = false, transposeB = false): ProductWithScale {
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const n = transposeB ? rowsB : columnsB;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const rank = Math.max(batchA.length, batchB.length);
  const batch = Array.from({ length: rank }, (_, d) => {
    const extentA = batchA[d - rank + batchA.length] ?? 1;
    const extentB = batchB[d - rank + batchB.length] ?? 1;
    return extentA === 1 ? extentB : extentA;
  });
  const matrices = batch.reduce((product, extent) => product * extent, 1);
  const values = new Float64Array(matrices * m * n);
  const scale = new Float64Array(matrices * m * n);
  for (let matrix = 0; matrix < matrices; matrix++) {
    const startA = matrixIndex(matrix, batch, batchA) * rowsA * columnsA;
    const startB = matrixIndex(matrix, batch, batchB) * rowsB * columnsB;
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        let absolute = 0;
        for (let p = 0; p < k; p++) {
          const x = a.values[startA + (transposeA ? p * columnsA + i : i * columnsA + p)] as number;
          const y = b.values[startB + (transposeB ? j * columnsB + p : p * columnsB + j)] as number;
          sum += x * y;
          absolute += Math.abs(x * y);
        }
        values[(matrix * m + i) * n + j] = sum;
        scale[(matrix * m + i) * n + j] = absolute;
      }
    }
  }
  return { shape: [...batch, m, n], values, scale };
}

/** Which matrix of an operand with leading dimensions `own` belongs to matrix `index` of the broadcast `batch`. */
function matrixIndex(index: number, batch: readonly number[], own: readonly number[]): number {
  let result = 0;
  let stride = 1;
  let rest = index;
  for (let d = 1; d <= batch.length; d++) {
    const extent = batch[batch.length - d] as number;
    const ownExtent = own[own.length - d] ?? 1;
    result += (ownExtent === 1 ? 0 : rest % extent) * stride;
    stride *= ownExtent;
    rest = Math.floor(rest / extent);
  }
  return result;
}
