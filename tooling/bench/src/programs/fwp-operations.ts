/** The operations as `@fwp/core` offers them. */

import { Adam, embedding, gelu, layerNorm, linear, lstm, selfAttention, softmaxCrossEntropy } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Operations } from './operations.ts';

export const fwpOperations: Operations = {
  gelu,
  layerNorm,
  softmax: (x) => tf.softmax(x),
  embedding: (table, indices) => embedding(table as tf.Tensor2D, indices),
  linear: (x, weight, bias, relu = false) => linear(x, weight, { bias, activation: relu ? 'relu' : 'none' }),
  selfAttention: (projected) => selfAttention(projected, { causal: true }),
  crossEntropy: (logits, labels) => softmaxCrossEntropy(logits, labels) as tf.Scalar,
  lstm: (x, { input, recurrent, bias }) => lstm(x, { inputWeight: input, recurrentWeight: recurrent, bias }).output,
  adam: (variables, learningRate) => {
    const optimizer = new Adam(variables, { learningRate });
    return { step: (loss) => optimizer.minimize(loss), dispose: () => optimizer.dispose() };
  },
};
