/** y = activation(x W + bias) in float64, element by element. */

import { erf } from './elementwise.ts';

/** The activations of `linear`. */
const linearActivationReferences: Readonly<Record<string, (z: number) => number>> = {
  none: (z) => z,
  relu: (z) => Math.max(z, 0),
  gelu: (z) => (z / 2) * (1 + erf(z * Math.SQRT1_2)),
  tanh: Math.tanh,
  sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  silu: (z) => z / (1 + Math.exp(-z)),
};

/** x [rows, inputs], weight [inputs, outputs], bias [outputs] or undefined → [rows, outputs]. */
export function linearReference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  inputs: number,
  outputs: number,
  activation: string,
): Float64Array {
  const rows = inputs === 0 ? 0 : x.length / inputs;
  const y = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < outputs; j++) {
      let z = bias === undefined ? 0 : bias[j]!;
      for (let p = 0; p < inputs; p++) z += x[row * inputs + p]! * weight[p * outputs + j]!;
      y[row * outputs + j] = linearActivationReferences[activation]!(z);
    }
  }
  return y;
}
