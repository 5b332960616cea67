/** Real-time recurrent learning of an e-LSTM: sensitivities are carried over some steps, and the gradient is accumulated. */

import { elementwiseLstmRtrl, elementwiseLstmTrace } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';
import { digestOf } from './values.ts';

/** Our program; that of PyTorch is the authors', step by step. */
export const rtrlPrograms: ProgramTable = {
  sensitivities: (parameters) => {
    const [batch, steps, inputs, hidden] = ['batch', 'steps', 'inputs', 'hidden'].map((name) =>
      numberOf(parameters, name),
    ) as [number, number, number, number];
    const scale = 1 / Math.sqrt(inputs);
    const x = uniformTensor([batch, steps, inputs], 1);
    const weights = {
      inputWeight: uniformTensor([inputs, 2 * hidden], 2, scale),
      recurrentWeight: uniformTensor([2 * hidden], 3, scale),
      bias: uniformTensor([2 * hidden], 4, scale),
    };
    const errors = uniformTensor([batch, steps, hidden], 5);
    const trace = elementwiseLstmTrace(x, weights);
    const zeros = tf.zeros([batch, inputs + 2, 2 * hidden]);
    const sensitivities = tf.variable(zeros, false);
    const update = (): Float32Array[] =>
      tf.tidy(() => {
        const gradients = elementwiseLstmRtrl(sensitivities, x, weights, trace, { errors });
        return Object.values(gradients as object).map((gradient: tf.Tensor) => gradient.dataSync() as Float32Array);
      });
    return {
      run: () => {
        tf.tidy(() => void elementwiseLstmRtrl(sensitivities, x, weights, trace, { errors }));
      },
      check: () => {
        sensitivities.assign(zeros);
        return digestOf(...update());
      },
      dispose: () =>
        tf.dispose([x, errors, trace, zeros, sensitivities, ...Object.values(weights)] as tf.TensorContainer[]),
    };
  },
};
