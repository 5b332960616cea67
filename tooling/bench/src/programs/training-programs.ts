/**
 * Whole training steps: forward, backward, Adam. Every peer starts from the same weights (numbered seeds, in the order
 * in which the variables are made), so the losses of the first steps must agree.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { TransformerSizes } from '../transformer-flops.ts';
import { uniformTensor } from './operation-programs.ts';
import type { LstmWeights, Operations } from './operations.ts';
import { numberOf, type Program, type ProgramTable } from './program.ts';
import { integers, uniform } from './values.ts';

/** Of Adam. */
export const LEARNING_RATE = 1e-3;
/** Steps whose losses are compared. */
const CHECKED_STEPS = 3;

/** All programs of this file. */
export function trainingPrograms(operations: Operations): ProgramTable {
  return {
    transformer: (parameters) => {
      const sizes = {
        layers: numberOf(parameters, 'layers'),
        width: numberOf(parameters, 'width'),
        heads: numberOf(parameters, 'heads'),
        feedForward: numberOf(parameters, 'feedForward'),
        length: numberOf(parameters, 'length'),
        batch: numberOf(parameters, 'batch'),
        vocabulary: numberOf(parameters, 'vocabulary'),
      };
      return transformer(operations, sizes);
    },
    mlp: (parameters) => mlp(operations, numberOf(parameters, 'batch')),
    lstm: (parameters) =>
      lstm(
        operations,
        numberOf(parameters, 'batch'),
        numberOf(parameters, 'length'),
        numberOf(parameters, 'inputs'),
        numberOf(parameters, 'hidden'),
      ),
    cnn: (parameters) => cnn(operations, numberOf(parameters, 'batch')),
  };
}

/** Makes variables with numbered seeds. */
class Weights {
  readonly variables: tf.Variable[] = [];
  #seed = 100;

  /** Uniform in ±scale. */
  uniform(shape: number[], scale: number): tf.Variable {
    return this.#add(uniform(tf.util.sizeFromShape(shape), this.#seed++, scale), shape);
  }

  constant(shape: number[], value: number): tf.Variable {
    return this.#add(new Float32Array(tf.util.sizeFromShape(shape)).fill(value), shape);
  }

  /** Weight `[inputs, outputs]`, uniform in ±1/√inputs, and a bias of zeros. */
  linear(inputs: number, outputs: number): [tf.Variable, tf.Variable] {
    return [this.uniform([inputs, outputs], 1 / Math.sqrt(inputs)), this.constant([outputs], 0)];
  }

  #add(values: Float32Array, shape: number[]): tf.Variable {
    const initial = tf.tensor(values, shape, 'float32');
    const variable = tf.variable(initial);
    initial.dispose();
    this.variables.push(variable);
    return variable;
  }
}

/** A program that takes training steps. */
function training(operations: Operations, weights: Weights, data: tf.Tensor[], loss: () => tf.Scalar): Program {
  const adam = operations.adam(weights.variables, LEARNING_RATE);
  return trainingSteps(
    () => adam.step(loss),
    () => {
      adam.dispose();
      tf.dispose([...weights.variables, ...data]);
    },
  );
}

/**
 * A program of training steps, of which the first losses are compared.
 *
 * @param step takes one, and gives the loss before it
 * @param dispose frees what it needs
 */
export function trainingSteps(step: () => tf.Scalar, dispose: () => void): Program {
  return {
    run: () => step().dispose(),
    check: () => {
      const values = Array.from({ length: CHECKED_STEPS }, () => {
        const loss = step();
        const [value] = loss.dataSync();
        loss.dispose();
        return value as number;
      });
      return { values, scale: values[0] as number };
    },
    dispose,
  };
}

/**
 * Pre-norm Transformer decoder: x ← x + Attention(LN(x)); x ← x + W₂·relu(W₁·LN(x)); logits of the next symbol at every
 * place from a last layer norm and a linear layer.
 */
function transformer(operations: Operations, sizes: TransformerSizes): Program {
  const { layers, width, heads, feedForward, length, batch, vocabulary } = sizes;
  const weights = new Weights();
  const table = weights.uniform([vocabulary, width], 0.5);
  const positions = weights.uniform([length, width], 0.5);
  const blocks = Array.from({ length: layers }, () => ({
    norm1: [weights.constant([width], 1), weights.constant([width], 0)] as const,
    project: weights.linear(width, 3 * width),
    output: weights.linear(width, width),
    norm2: [weights.constant([width], 1), weights.constant([width], 0)] as const,
    expand: weights.linear(width, feedForward),
    contract: weights.linear(feedForward, width),
  }));
  const norm = [weights.constant([width], 1), weights.constant([width], 0)] as const;
  const head = weights.linear(width, vocabulary);
  const symbols = tf.tensor2d(integers(batch * length, 3, vocabulary), [batch, length], 'int32');
  const labels = tf.tensor1d(integers(batch * length, 4, vocabulary), 'int32');

  const attend = (x: tf.Tensor, project: readonly [tf.Variable, tf.Variable]): tf.Tensor => {
    const projected = tf.reshape(operations.linear(x, ...project), [batch, length, 3, heads, width / heads]);
    return tf.reshape(operations.selfAttention(projected), [batch, length, width]);
  };
  return training(operations, weights, [symbols, labels], () => {
    let x = tf.add(operations.embedding(table, symbols), positions);
    for (const { norm1, project, output, norm2, expand, contract } of blocks) {
      x = tf.add(x, operations.linear(attend(operations.layerNorm(x, ...norm1), project), ...output));
      const inner = operations.linear(operations.layerNorm(x, ...norm2), ...expand, true);
      x = tf.add(x, operations.linear(inner, ...contract));
    }
    const logits = operations.linear(operations.layerNorm(x, ...norm), ...head);
    return operations.crossEntropy(tf.reshape(logits, [batch * length, vocabulary]), labels);
  });
}

/** 784-512-512-10 with relu. */
function mlp(operations: Operations, batch: number): Program {
  const weights = new Weights();
  const layers = [weights.linear(784, 512), weights.linear(512, 512), weights.linear(512, 10)] as const;
  const x = uniformTensor([batch, 784], 1);
  const labels = tf.tensor1d(integers(batch, 2, 10), 'int32');
  return training(operations, weights, [x, labels], () => {
    const first = operations.linear(x, ...layers[0], true);
    const second = operations.linear(first, ...layers[1], true);
    return operations.crossEntropy(operations.linear(second, ...layers[2]), labels);
  });
}

/** One LSTM layer, and ten classes from its last state. */
function lstm(operations: Operations, batch: number, length: number, inputs: number, hidden: number): Program {
  const weights = new Weights();
  const scale = 1 / Math.sqrt(hidden);
  const cell: LstmWeights = {
    input: weights.uniform([inputs, 4 * hidden], scale),
    recurrent: weights.uniform([hidden, 4 * hidden], scale),
    bias: weights.constant([4 * hidden], 0),
  };
  const head = weights.linear(hidden, 10);
  const x = uniformTensor([batch, length, inputs], 1);
  const labels = tf.tensor1d(integers(batch, 2, 10), 'int32');
  return training(operations, weights, [x, labels], () => {
    const states = operations.lstm(x, cell);
    const last = tf.reshape(tf.slice(states, [0, length - 1, 0], [batch, 1, hidden]), [batch, hidden]);
    return operations.crossEntropy(operations.linear(last, ...head), labels);
  });
}

/** Three 3×3 convolutions (32; 64, stride 2; 64, stride 2) with relu on 32×32×3 images, mean over places, ten classes. */
function cnn(operations: Operations, batch: number): Program {
  const weights = new Weights();
  const filters = (from: number, to: number): [tf.Variable, tf.Variable] => [
    weights.uniform([3, 3, from, to], 1 / Math.sqrt(9 * from)),
    weights.constant([to], 0),
  ];
  const layers = [filters(3, 32), filters(32, 64), filters(64, 64)] as const;
  const head = weights.linear(64, 10);
  const x = uniformTensor([batch, 32, 32, 3], 1);
  const labels = tf.tensor1d(integers(batch, 2, 10), 'int32');
  return training(operations, weights, [x, labels], () => {
    let y = x as tf.Tensor4D;
    layers.forEach(([filter, bias], i) => {
      const sum = tf.conv2d(y, filter as unknown as tf.Tensor4D, i === 0 ? 1 : 2, 1);
      y = tf.relu(tf.add(sum, bias)) as tf.Tensor4D;
    });
    return operations.crossEntropy(operations.linear(tf.mean(y, [1, 2]), ...head), labels);
  });
}
