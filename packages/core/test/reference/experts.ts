/**
 * Reference: products with the matrices of chosen experts (Csordás, Irie & Schmidhuber, 2023), one assignment at a time, in float64.
 *
 *     y[r] = Σ over assignments a of output row r:  gate_a x[row of a] W[index_a]
 */

/** Which rows meet which experts. */
export interface ExpertSizes {
  readonly rows: number;
  readonly outputRows: number;
  readonly size: number;
  readonly outputSize: number;
}

/** y [outputRows, outputSize] for x [rows, size], W [experts, size, outputSize], and gates (1 without). */
export function expertProducts(
  x: Float64Array,
  weights: Float64Array,
  indices: Int32Array,
  gates: Float64Array | undefined,
  { rows, outputRows, size, outputSize }: ExpertSizes,
): Float64Array {
  const y = new Float64Array(outputRows * outputSize);
  for (let a = 0; a < indices.length; a++) {
    const from = Math.floor((a * rows) / indices.length);
    const to = Math.floor((a * outputRows) / indices.length);
    const gate = gates?.[a] ?? 1;
    for (let j = 0; j < outputSize; j++) {
      for (let i = 0; i < size; i++) {
        y[to * outputSize + j]! += gate * x[from * size + i]! * weights[(indices[a]! * size + i) * outputSize + j]!;
      }
    }
  }
  return y;
}

/** Inputs of a feed-forward layer of experts by name, and what is fixed. */
export interface ExpertLayer {
  readonly indices: Int32Array;
  readonly rows: number;
  readonly size: number;
  readonly expertSize: number;
}

/** Which hidden units of the assignments are positive. */
export function openUnits(
  x: Float64Array,
  keys: Float64Array,
  { indices, rows, size, expertSize }: ExpertLayer,
): boolean[] {
  const apart = { rows, outputRows: indices.length, size, outputSize: expertSize };
  return Array.from(expertProducts(x, keys, indices, undefined, apart), (u) => u > 0);
}

/**
 * y[r] = Σ_j gate_rj relu(x[r] K[e]) V[e], for the experts e = index_rj of each row. Which units the ReLU lets through is given, so
 * that differences for a gradient do not step over its kink.
 */
export function expertLayers(
  { x, keys, values, gates }: Readonly<Record<string, Float64Array>>,
  open: readonly boolean[],
  { indices, rows, size, expertSize }: ExpertLayer,
): Float64Array {
  const apart = { rows, outputRows: indices.length, size, outputSize: expertSize };
  const hidden = expertProducts(x!, keys!, indices, undefined, apart).map((u, i) => (open[i]! ? u : 0));
  const sums = { rows: indices.length, outputRows: rows, size: expertSize, outputSize: size };
  return expertProducts(hidden, values!, indices, gates!, sums);
}
