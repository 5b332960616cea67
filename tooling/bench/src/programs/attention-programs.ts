/** Causal softmax attention over the last `window` elements, forward and backward: `[batch, heads, length, dim]`. */

import { attention } from '@fwp/core';
import type * as tf from '@tensorflow/tfjs-core';
import { sequences } from './linear-attention-programs.ts';
import { backward, forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';

/** Our programs; peers have their own of the same names. */
export const attentionPrograms: ProgramTable = {
  'windowed attention': (parameters) => {
    const [q, k, v] = sequences(parameters);
    const options = { causal: true, window: numberOf(parameters, 'window') };
    return forward([q, k, v], () => attention(q, k, v, options));
  },
  'windowed attention backward': (parameters) => {
    const inputs = sequences(parameters);
    const options = { causal: true, window: numberOf(parameters, 'window') };
    return backward(inputs, uniformTensor(inputs[0].shape, 4), (q, k, v) =>
      attention(q as tf.Tensor, k as tf.Tensor, v as tf.Tensor, options),
    );
  },
};
