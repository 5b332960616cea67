/** Single operations, forward and backward, as JavaScript peers run them. */

import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import type { Operations } from './operations.ts';
import { numberOf, type Program, type ProgramTable, shapeOf } from './program.ts';
import { digestOf, integers, uniform } from './values.ts';

/** A float32 tensor of the shared numbers. */
export function uniformTensor(shape: number[], seed: number, scale = 1): tf.Tensor {
  return tf.tensor(uniform(tf.util.sizeFromShape(shape), seed, scale), shape, 'float32');
}

/** All programs of this file. */
export function operationPrograms(operations: Operations): ProgramTable {
  return {
    gemm: (parameters) => {
      const [a, b] = [uniformTensor(shapeOf(parameters, 'a'), 1), uniformTensor(shapeOf(parameters, 'b'), 2)];
      const transposeA = parameters['transposeA'] === true;
      return forward([a, b], () => tf.matMul(a, b, transposeA, false));
    },
    elementwise: (parameters) => {
      const x = uniformTensor(shapeOf(parameters, 'shape'), 1, 3);
      const y = uniformTensor(shapeOf(parameters, 'other'), 2, 3);
      const operation = ELEMENTWISE[String(parameters['operation'])] ?? operations.gelu;
      return forward([x, y], () => operation(x, y));
    },
    reduction: (parameters) => {
      const x = uniformTensor(shapeOf(parameters, 'shape'), 1);
      const axis = parameters['axis'] === undefined ? undefined : numberOf(parameters, 'axis');
      const operation = parameters['operation'] === 'max' ? tf.max : tf.sum;
      return forward([x], () => operation(x, axis));
    },
    softmax: (parameters) => {
      const x = uniformTensor(shapeOf(parameters, 'shape'), 1, 3);
      return forward([x], () => operations.softmax(x));
    },
    'softmax backward': (parameters) => {
      const x = uniformTensor(shapeOf(parameters, 'shape'), 1, 3);
      return backward([x], uniformTensor(x.shape, 4), operations.softmax);
    },
    'layer norm': (parameters) => {
      const [x, scale, offset] = layerNormInputs(parameters);
      return forward([x, scale, offset], () => operations.layerNorm(x, scale, offset));
    },
    'layer norm backward': (parameters) => {
      const inputs = layerNormInputs(parameters);
      return backward(inputs, uniformTensor(inputs[0].shape, 4), (x, scale, offset) =>
        operations.layerNorm(x as tf.Tensor, scale as tf.Tensor, offset as tf.Tensor),
      );
    },
    embedding: (parameters) => {
      const [entries, width, count] = ['entries', 'width', 'count'].map((name) => numberOf(parameters, name)) as [
        number,
        number,
        number,
      ];
      const indices = tf.tensor1d(integers(count, 3, entries), 'int32');
      const gradient = uniformTensor([count, width], 4);
      const table = uniformTensor([entries, width], 1);
      return backward([table], gradient, (weights) => operations.embedding(weights as tf.Tensor, indices), [indices]);
    },
    convolution: (parameters) => {
      const { x, filter, convolve } = convolution(parameters);
      return forward([x, filter], () => convolve(x, filter));
    },
    'convolution backward': (parameters) => {
      const { x, filter, convolve } = convolution(parameters);
      const result = convolve(x, filter);
      const gradient = uniformTensor(result.shape, 4);
      result.dispose();
      return backward([x, filter], gradient, (input, weights) => convolve(input as tf.Tensor, weights as tf.Tensor));
    },
    transpose: (parameters) => {
      const x = uniformTensor(shapeOf(parameters, 'shape'), 1);
      const permutation = shapeOf(parameters, 'permutation');
      return forward([x], () => tf.transpose(x, permutation));
    },
    dispatch: () => {
      const [a, b] = [uniformTensor([4], 1), uniformTensor([4], 2)];
      return forward([a, b], () => tf.add(a, b));
    },
    'dispatch with gradient': (parameters) => {
      const count = numberOf(parameters, 'count');
      const [x, factor] = [uniformTensor([4], 1), uniformTensor([4], 2)];
      return backward(
        [x],
        uniformTensor([4], 4),
        (start) => {
          let y = start as tf.Tensor;
          for (let i = 0; i < count; i++) y = tf.add(y, factor);
          return y;
        },
        [factor],
      );
    },
  };
}

const ELEMENTWISE: Readonly<Record<string, (x: tf.Tensor, y: tf.Tensor) => tf.Tensor>> = {
  add: (x, y) => tf.add(x, y),
  multiply: (x, y) => tf.mul(x, y),
  exp: (x) => tf.exp(x),
  tanh: (x) => tf.tanh(x),
};

/** A program whose result is the one tensor that it leaves. */
export function forward(inputs: tf.Tensor[], compute: () => tf.Tensor): Program {
  return {
    run: () => compute().dispose(),
    check: () => {
      const result = compute();
      const digest = digestOf(result.dataSync());
      result.dispose();
      return digest;
    },
    dispose: () => tf.dispose(inputs),
  };
}

/** A program that runs `compute` and then its gradient for all `inputs`, given the gradient of its result. */
export function backward(
  inputs: tf.Tensor[],
  gradient: tf.Tensor,
  compute: (...inputs: tf.Tensor[]) => tf.Tensor,
  constants: tf.Tensor[] = [],
): Program {
  const gradients = tf.grads(compute);
  return {
    run: () => tf.dispose(gradients(inputs, gradient)),
    check: () => {
      const results = gradients(inputs, gradient);
      const digest = digestOf(...results.map((result) => result.dataSync()));
      tf.dispose(results);
      return digest;
    },
    dispose: () => tf.dispose([...inputs, gradient, ...constants]),
  };
}

function layerNormInputs(parameters: Parameters): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const shape = shapeOf(parameters, 'shape');
  const width = shape.slice(-1);
  return [uniformTensor(shape, 1, 3), uniformTensor(width, 2), uniformTensor(width, 3)];
}

/** Inputs `[batch, height, width, channels]`, filters `[3, 3, channels, filters]`, padding of one pixel. */
function convolution(parameters: Parameters): {
  x: tf.Tensor;
  filter: tf.Tensor;
  convolve: (x: tf.Tensor, filter: tf.Tensor) => tf.Tensor;
} {
  const x = uniformTensor(shapeOf(parameters, 'shape'), 1);
  const filter = uniformTensor([3, 3, x.shape[3] as number, numberOf(parameters, 'filters')], 2, 0.1);
  const strides = numberOf(parameters, 'strides');
  return {
    x,
    filter,
    convolve: (input, weights) => tf.conv2d(input as tf.Tensor4D, weights as tf.Tensor4D, strides, 1),
  };
}
