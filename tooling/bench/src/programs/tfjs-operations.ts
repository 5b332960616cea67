/** The operations composed of plain tfjs ones, as a user of tfjs would write them. */

import * as tf from '@tensorflow/tfjs-core';
import type { LstmWeights, Operations } from './operations.ts';

/** Large enough to vanish in a softmax, small enough for float32. */
const MASKED = -1e9;

/** @param oneHot whether the backend has no gradient for gather, so that a lookup must be a matrix product */
export function tfjsOperations(oneHot: boolean): Operations {
  return {
    gelu: (x) => tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))),
    layerNorm: (x, scale, offset) =>
      tf.tidy(() => {
        const { mean, variance } = tf.moments(x, -1, true);
        const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
        return tf.add(tf.mul(normal, scale), offset);
      }),
    softmax: (x) => tf.softmax(x),
    embedding: (table, indices) => {
      if (!oneHot) return tf.gather(table, indices);
      const [entries, width] = table.shape as [number, number];
      const flat = tf.oneHot(tf.reshape(indices, [-1]) as tf.Tensor1D, entries);
      return tf.reshape(tf.matMul(tf.cast(flat, 'float32'), table as tf.Tensor2D), [...indices.shape, width]);
    },
    linear: (x, weight, bias, relu = false) => {
      const [inputs, outputs] = weight.shape as [number, number];
      const flat = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
      const result = tf.add(tf.matMul(flat, weight as tf.Tensor2D), bias);
      return tf.reshape(relu ? tf.relu(result) : result, [...x.shape.slice(0, -1), outputs]);
    },
    selfAttention: (projected) => {
      const [, length, , , width] = projected.shape as [number, number, number, number, number];
      const [query, key, value] = tf.unstack(tf.transpose(projected, [2, 0, 3, 1, 4])) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const scores = tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(width));
      const mask = tf.mul(tf.sub(1, tf.linalg.bandPart(tf.ones([length, length]), -1, 0)), MASKED);
      const attended = tf.matMul(tf.softmax(tf.add(scores, mask)), value);
      return tf.transpose(attended, [0, 2, 1, 3]);
    },
    crossEntropy: (logits, labels) => {
      const classes = logits.shape[1] as number;
      const wanted = tf.oneHot(labels as tf.Tensor1D, classes);
      return tf.losses.softmaxCrossEntropy(wanted, logits, undefined, undefined, tf.Reduction.MEAN) as tf.Scalar;
    },
    lstm: (x, weights) => composedLstm(x, weights),
    adam: (variables, learningRate) => {
      const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8);
      return {
        step: (loss) => optimizer.minimize(loss, true, variables) as tf.Scalar,
        dispose: () => optimizer.dispose(),
      };
    },
  };
}

/** One matrix product for all inputs, then a loop over time. */
function composedLstm(x: tf.Tensor, { input, recurrent, bias }: LstmWeights): tf.Tensor {
  const [batch, length, inputs] = x.shape as [number, number, number];
  const hidden = recurrent.shape[0] as number;
  const projected = tf.add(tf.matMul(tf.reshape(x, [batch * length, inputs]), input as tf.Tensor2D), bias);
  const steps = tf.unstack(tf.reshape(projected, [batch, length, 4 * hidden]), 1);
  let h: tf.Tensor = tf.zeros([batch, hidden]);
  let c: tf.Tensor = tf.zeros([batch, hidden]);
  const outputs: tf.Tensor[] = [];
  for (const step of steps) {
    const gates = tf.add(step, tf.matMul(h as tf.Tensor2D, recurrent as tf.Tensor2D));
    const [i, f, g, o] = tf.split(gates, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    outputs.push(h);
  }
  return tf.stack(outputs, 1);
}
