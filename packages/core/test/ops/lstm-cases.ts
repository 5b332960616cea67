/** What the tests of the LSTM share: inputs, and the operation in the form of the reference. */

import * as tf from '@tensorflow/tfjs-core';
import { lstm } from '../../src/index.ts';
import { type LstmSizes, type LstmValues, lstmReference } from '../reference/lstm.ts';
import { expectMatchesReference, type Inputs, noise, noiseInput } from './against-reference.ts';

/** Random inputs. */
export function noiseInputs({ batch, time, inputs, hidden }: LstmSizes): Inputs {
  return {
    x: noiseInput([batch, time, inputs], 1),
    inputWeight: noiseInput([inputs, 4 * hidden], 2),
    recurrentWeight: noiseInput([hidden, 4 * hidden], 3, 2 / Math.sqrt(hidden)),
    bias: noiseInput([4 * hidden], 4),
    initialHidden: noiseInput([batch, hidden], 5),
    initialCell: noiseInput([batch, hidden], 6),
  };
}

/** The operation in the form of the reference. */
export function apply(tensors: Record<string, tf.Tensor>, resetMask?: tf.Tensor): tf.Tensor[] {
  const { x, inputWeight, recurrentWeight, bias, initialHidden, initialCell } = tensors;
  const weights = { inputWeight: inputWeight!, recurrentWeight: recurrentWeight!, bias };
  const { output, finalHidden, finalCell } = lstm(x!, weights, { initialHidden, initialCell, resetMask });
  return [output, finalHidden, finalCell];
}

/** The operation with all inputs follows its equations, with exact gradients. */
export function expectFollowsEquations(sizes: LstmSizes, resets = false): void {
  const reset = resets ? resetsOf(sizes) : undefined;
  expectMatchesReference({
    inputs: noiseInputs(sizes),
    operation: (tensors) => apply(tensors, reset && tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool')),
    reference: (values) => lstmReference({ ...(values as never as LstmValues), ...(reset ? { reset } : {}) }, sizes),
    tolerance: 1e-5,
  });
}

/** Results, and gradients of all inputs for fixed upstream gradients. */
export function valueAndGradients(sizes: LstmSizes, resets = false): Float32Array[] {
  return tf.tidy(() => {
    const inputs = noiseInputs(sizes);
    const names = Object.keys(inputs);
    const tensors = names.map((name) => tf.tensor(inputs[name]!.values, inputs[name]!.shape));
    const reset = resets ? resetsOf(sizes) : undefined;
    const run = (given: tf.Tensor[]) =>
      apply(
        Object.fromEntries(names.map((name, index) => [name, given[index]!])),
        reset && tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool'),
      );
    const loss = (...given: tf.Tensor[]) =>
      run(given)
        .map((result, index) => tf.sum(tf.mul(result, tf.tensor(noise(result.size, 20 + index), result.shape))))
        .reduce((a, b) => tf.add(a, b));
    return [...run(tensors), ...tf.grads(loss)(tensors)].map((x) => x.dataSync() as Float32Array);
  });
}

/** Where sequences begin anew, at random. */
export function resetsOf({ batch, time }: LstmSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.5 ? 1 : 0));
}
