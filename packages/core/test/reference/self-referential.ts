/** The self-referential weight matrix in float64, one head and step at a time, as its equations have it. */

/** Sizes of a self-referential scan. */
export interface SelfReferentialSizes {
  readonly batch: number;
  readonly heads: number;
  readonly time: number;
  readonly dim: number;
  readonly outputDim: number;
}

/** Everything that {@link selfReferentialReference} reads. */
export interface SelfReferentialValues {
  /** [batch, heads, time, dim]. */
  readonly x: ArrayLike<number>;
  /** W_0, [heads, dim, outputDim + 2 dim + 4]. */
  readonly weights: ArrayLike<number>;
  /** W − W_0, [batch, heads, dim, outputDim + 2 dim + 4]. Default: zeros. */
  readonly initialState?: ArrayLike<number>;
  /** [batch, time]: where W is W_0 before the step. */
  readonly reset?: ArrayLike<number>;
}

/** Output [batch, heads, time, outputDim] and final state W − W_0. */
export function selfReferentialReference(
  { x, weights, initialState, reset }: SelfReferentialValues,
  { batch, heads, time, dim, outputDim }: SelfReferentialSizes,
): [output: Float64Array, finalState: Float64Array] {
  const columns = outputDim + 2 * dim + 4;
  const size = dim * columns;
  const output = new Float64Array(batch * heads * time * outputDim);
  const finalState = new Float64Array(batch * heads * size);
  /** Which learning rate a column has. */
  const block = (column: number) =>
    column < outputDim ? 0 : column < outputDim + dim ? 1 : column < outputDim + 2 * dim ? 2 : 3;
  for (let unit = 0; unit < batch * heads; unit++) {
    const initial = Float64Array.from({ length: size }, (_, i) => weights[(unit % heads) * size + i]!);
    let W = initial.map((w, i) => w + (initialState?.[unit * size + i] ?? 0));
    const read = (vector: ArrayLike<number>): number[] =>
      Array.from({ length: columns }, (_, column) => {
        let sum = 0;
        for (let i = 0; i < dim; i++) sum += vector[i]! * W[i * columns + column]!;
        return sum;
      });
    for (let t = 0; t < time; t++) {
      const step = unit * time + t;
      if (reset?.[Math.floor(unit / heads) * time + t]) W = initial.slice();
      const y = read(Array.from({ length: dim }, (_, i) => x[step * dim + i]!));
      output.set(y.slice(0, outputDim), step * outputDim);
      const query = softmax(y.slice(outputDim, outputDim + dim));
      const key = softmax(y.slice(outputDim + dim, outputDim + 2 * dim));
      const rates = y.slice(outputDim + 2 * dim).map((b) => 1 / (1 + Math.exp(-b)));
      const [wanted, held] = [read(query), read(key)];
      for (let i = 0; i < dim; i++) {
        for (let column = 0; column < columns; column++) {
          const change = rates[block(column)]! * (wanted[column]! - held[column]!);
          W[i * columns + column] = W[i * columns + column]! + key[i]! * change;
        }
      }
    }
    finalState.set(
      W.map((w, i) => w - initial[i]!),
      unit * size,
    );
  }
  return [output, finalState];
}

function softmax(x: number[]): number[] {
  const most = Math.max(...x);
  const exponentials = x.map((value) => Math.exp(value - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((e) => e / sum);
}
