/** An LSTM in float64, one batch element and step at a time; gates in the order i, f, g, o. */

/** Sizes of {@link lstmReference}. */
export interface LstmSizes {
  readonly batch: number;
  readonly time: number;
  readonly inputs: number;
  readonly hidden: number;
}

/** Everything that {@link lstmReference} reads. */
export interface LstmValues {
  /** [batch, time, inputs]. */
  readonly x: ArrayLike<number>;
  /** [inputs, 4 · hidden]. */
  readonly inputWeight: ArrayLike<number>;
  /** [hidden, 4 · hidden]. */
  readonly recurrentWeight: ArrayLike<number>;
  /** [4 · hidden]. */
  readonly bias: ArrayLike<number>;
  /** [batch, hidden]. */
  readonly initialHidden: ArrayLike<number>;
  readonly initialCell: ArrayLike<number>;
  /** [batch, time]: where the state is zero before the step. */
  readonly reset?: ArrayLike<number>;
}

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

/** Output [batch, time, hidden], final hidden and final cell [batch, hidden]. */
export function lstmReference(
  values: LstmValues,
  { batch, time, inputs, hidden }: LstmSizes,
): [output: Float64Array, finalHidden: Float64Array, finalCell: Float64Array] {
  const output = new Float64Array(batch * time * hidden);
  const finalHidden = Float64Array.from(values.initialHidden);
  const finalCell = Float64Array.from(values.initialCell);
  for (let b = 0; b < batch; b++) {
    const h = finalHidden.subarray(b * hidden, (b + 1) * hidden);
    const c = finalCell.subarray(b * hidden, (b + 1) * hidden);
    for (let t = 0; t < time; t++) {
      if (values.reset?.[b * time + t]) {
        h.fill(0);
        c.fill(0);
      }
      const z = Float64Array.from({ length: 4 * hidden }, (_, j) => {
        let sum = values.bias[j]!;
        for (let p = 0; p < inputs; p++)
          sum += values.x[(b * time + t) * inputs + p]! * values.inputWeight[p * 4 * hidden + j]!;
        for (let p = 0; p < hidden; p++) sum += h[p]! * values.recurrentWeight[p * 4 * hidden + j]!;
        return sum;
      });
      for (let j = 0; j < hidden; j++) {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => z[gate * hidden + j]!) as [number, number, number, number];
        c[j] = sigmoid(f) * c[j]! + sigmoid(i) * Math.tanh(g);
        h[j] = sigmoid(o) * Math.tanh(c[j]!);
        output[(b * time + t) * hidden + j] = h[j]!;
      }
    }
  }
  return [output, finalHidden, finalCell];
}
