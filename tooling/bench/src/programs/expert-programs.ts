/** Mixtures of experts: products with chosen experts, their gradients alone, and training steps of blocks (forward, backward, Adam). */

import { Adam, expertFeedForward, expertMatMul, type Module, RandomStream } from '@fwp/core';
import { DenseBlock, MixtureOfExperts, RelativeAttention, SwitchHead } from '@fwp/moe';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type Program, type ProgramTable } from './program.ts';
import { LEARNING_RATE, trainingSteps } from './training-programs.ts';
import { digestOf, uniform } from './values.ts';

/** Ours; PyTorch has those of the same names, with a loop over experts. */
export const expertPrograms: ProgramTable = {
  'expert products': (parameters) => {
    const { x, keys, values, indices, gates } = layerInputs(parameters);
    return forward([x, keys, values, indices, gates], () =>
      expertMatMul(x, keys, indices, { outputRows: indices.size }),
    );
  },
  'expert layers': (parameters) => {
    const { x, keys, values, indices, gates } = layerInputs(parameters);
    return forward([x, keys, values, indices, gates], () => expertFeedForward(x, keys, values, indices, gates));
  },
  'expert products gradient': (parameters) => {
    const { x, keys, values, indices, gates } = layerInputs(parameters);
    const groups = sorted(indices, keys.shape[0]);
    const none = tf.zeros([0]);
    const dy = uniformTensor([indices.size, keys.shape[2]], 6);
    const tensors = { dy, inputs: x, weights: keys, gates: none, ...groups };
    const attributes = { outputRows: indices.size };
    return gradients('FwpExpertMatMulGrad', tensors, attributes, [values, indices, gates]);
  },
  'expert layers gradient': (parameters) => {
    const { x, keys, values, indices, gates } = layerInputs(parameters);
    const groups = sorted(indices, keys.shape[0]);
    const hidden = tf.zeros([indices.size, keys.shape[2]]);
    const given = { inputs: x, keys, values, gates: tf.reshape(gates, [indices.size]), ...groups, hidden };
    tf.dispose(tf.engine().runKernel('FwpExpertFeedForward', given) as tf.Tensor);
    const dy = uniformTensor(x.shape, 6);
    return gradients('FwpExpertFeedForwardGrad', { dy, ...given }, {}, [indices, gates]);
  },
  'dense block step': (parameters) => {
    const [tokens, size, hiddenSize] = numbersOf(parameters, ['tokens', 'size', 'hiddenSize']);
    const block = new DenseBlock({ size, hiddenSize, random: new RandomStream(1) });
    numberWeights(block, () => 1);
    return step(block, [tokens, size], (x) => block.forward(x));
  },
  'expert block step': (parameters) => {
    const [tokens, size, experts, expertSize, active] = layerSizes(parameters);
    const block = new MixtureOfExperts({ size, experts, expertSize, active, random: new RandomStream(1) });
    // The scale of a dense layer of all values together.
    numberWeights(block, (path) => (path === 'values' ? experts : 1));
    return step(block, [tokens, size], (x) => block.forward(x));
  },
  'dense attention step': (parameters) => {
    const { shape, memory, ...sizes } = attentionSizes(parameters);
    const block = new RelativeAttention(sizes);
    return step(block, shape, (x) => block.apply(x as tf.Tensor3D, { memory }).outputs, [memory]);
  },
  'switch head step': (parameters) => {
    const { shape, memory, ...sizes } = attentionSizes(parameters);
    const [experts, active] = numbersOf(parameters, ['experts', 'active']);
    const block = new SwitchHead({ ...sizes, experts, active });
    return step(block, shape, (x) => block.apply(x as tf.Tensor3D, { memory }).outputs, [memory]);
  },
};

function numbersOf<const N extends readonly string[]>(parameters: Parameters, names: N): { [K in keyof N]: number } {
  return names.map((name) => numberOf(parameters, name)) as { [K in keyof N]: number };
}

function layerSizes(parameters: Parameters) {
  return numbersOf(parameters, ['tokens', 'size', 'experts', 'expertSize', 'active']);
}

function layerInputs(parameters: Parameters) {
  const [tokens, size, experts, expertSize, active] = layerSizes(parameters);
  const { values: gates, indices } = tf.tidy(() => tf.topk(uniformTensor([tokens, experts], 4), active));
  return {
    x: uniformTensor([tokens, size], 1) as tf.Tensor2D,
    keys: uniformTensor([experts, size, expertSize], 2) as tf.Tensor3D,
    values: uniformTensor([experts, expertSize, size], 3) as tf.Tensor3D,
    indices: indices as tf.Tensor2D,
    gates: gates as tf.Tensor2D,
  };
}

function attentionSizes(parameters: Parameters) {
  const names = ['batch', 'length', 'memory', 'size', 'heads', 'headSize'] as const;
  const [batch, length, memoryLength, size, heads, headSize] = numbersOf(parameters, names);
  const memory = uniformTensor([batch, memoryLength, size], 2) as tf.Tensor3D;
  return { shape: [batch, length, size], memory, size, heads, headSize, random: new RandomStream(1) };
}

/** Assignments in the order of their experts, as the operations sort them. */
function sorted(indices: tf.Tensor, experts: number): { order: tf.Tensor; offsets: tf.Tensor } {
  const attributes = { experts, name: 'indices' };
  const [order, offsets] = tf.engine().runKernel('FwpExpertSort', { indices }, attributes) as unknown as tf.Tensor[];
  return { order: order as tf.Tensor, offsets: offsets as tf.Tensor };
}

/** A kernel of a gradient, without the forward that precedes it. */
function gradients(
  kernel: string,
  tensors: tf.NamedTensorMap,
  attributes: tf.NamedAttrMap,
  others: tf.Tensor[],
): Program {
  const run = () => tf.engine().runKernel(kernel, tensors, attributes) as unknown as tf.Tensor[];
  return {
    run: () => tf.dispose(run()),
    check: () => {
      const results = run();
      const digest = digestOf(...results.filter(({ size }) => size > 0).map((result) => result.dataSync()));
      tf.dispose(results);
      return digest;
    },
    dispose: () => tf.dispose([...Object.values(tensors), ...others]),
  };
}

/** Training steps towards outputs of 0. */
function step(block: Module, shape: number[], apply: (x: tf.Tensor) => tf.Tensor, others: tf.Tensor[] = []): Program {
  const x = uniformTensor(shape, 1);
  const optimizer = new Adam(block, { learningRate: LEARNING_RATE });
  return trainingSteps(
    () => optimizer.minimize(() => tf.mean(tf.square(apply(x))) as tf.Scalar),
    () => {
      optimizer.dispose();
      block.dispose();
      tf.dispose([x, ...others]);
    },
  );
}

/** Matrices get numbered seeds in the order of their names and the scale 1 / √(fan-in · times), biases become 0. */
function numberWeights(block: Module, times: (path: string) => number): void {
  let seed = 100;
  for (const [path, variable] of block.namedParameters()) {
    tf.tidy(() => {
      if (variable.rank < 2) {
        variable.assign(tf.zeros(variable.shape));
        return;
      }
      const scale = 1 / Math.sqrt((variable.shape.at(-2) as number) * times(path));
      variable.assign(tf.tensor(uniform(variable.size, seed++, scale), variable.shape));
    });
  }
}
