/** Geometric attention in float64 by its definition: for each position the product over all that are nearer. */

/** Sizes of {@link geometricAttentionReference}. */
export interface GeometricSizes {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly dim: number;
}

/** Whether query i visits k before j: it is nearer, or as near and to the right. */
function isBefore(i: number, k: number, j: number): boolean {
  const [far, near] = [Math.abs(i - j), Math.abs(i - k)];
  return k !== i && (near < far || (near === far && k > j));
}

/**
 * projections [batch, time, 3 · heads · dim + 2 · heads], coefficients [3], factors of the keys [batch, time, heads · dim]
 * → output [batch, time, heads · dim], weights [batch, heads, time, time].
 */
export function geometricAttentionReference(
  projections: ArrayLike<number>,
  coefficients: ArrayLike<number>,
  { batch, time, heads, dim }: GeometricSizes,
  present: (b: number, t: number) => boolean = () => true,
  normalize = false,
  keyFactor: (element: number) => number = () => 1,
): { output: Float64Array; weights: Float64Array } {
  const width = heads * dim;
  const row = 3 * width + 2 * heads;
  const output = new Float64Array(batch * time * width);
  const weights = new Float64Array(batch * heads * time * time);
  const positions = Array.from({ length: time }, (_, t) => t);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const at = (t: number, part: number, d: number): number =>
        projections[(b * time + t) * row + part * width + h * dim + d]!;
      for (const i of positions.filter((t) => present(b, t))) {
        const match = (j: number): number => {
          if (j === i || !present(b, j)) return 0;
          let score = 0;
          for (let d = 0; d < dim; d++)
            score += at(i, 0, d) * at(j, 1, d) * keyFactor((b * time + j) * width + h * dim + d);
          const direction = projections[(b * time + i) * row + 3 * width + (j < i ? 0 : heads) + h]!;
          return 1 / (1 + Math.exp(-(coefficients[0]! * score + coefficients[1]! * direction + coefficients[2]!)));
        };
        const matches = positions.map(match);
        const unnormalized = positions.map((j) =>
          positions.filter((k) => isBefore(i, k, j)).reduce((product, k) => product * (1 - matches[k]!), matches[j]!),
        );
        const sum = normalize
          ? Math.max(
              1e-12,
              unnormalized.reduce((a, x) => a + x, 0),
            )
          : 1;
        for (const j of positions) {
          const weight = unnormalized[j]! / sum;
          weights[((b * heads + h) * time + i) * time + j] = weight;
          if (weight === 0) continue;
          for (let d = 0; d < dim; d++) output[(b * time + i) * width + h * dim + d]! += weight * at(j, 2, d);
        }
      }
    }
  }
  return { output, weights };
}
