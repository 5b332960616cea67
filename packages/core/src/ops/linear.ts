/**
 * Linear layer:
 *
 *   y = activation(x W + bias)      x [..., inputs]   W [inputs, outputs]   bias [outputs]   y [..., outputs]
 *
 * W has one column per output, as in tfjs's dense layers (PyTorch's is the transpose). Gradient, with z = x W + bias:
 *
 *   dz = dy ∘ activation'(z)      dx = dz Wᵀ      dW = xᵀ dz      dbias = Σ_rows dz
 *
 * ReLU, tanh and sigmoid are differentiated from y; GELU and SiLU keep z while a gradient is being recorded.
 */

import * as tf from '@tensorflow/tfjs-core';
import { BACKEND_NAME } from '../backend/backend.ts';
import type { LinearAttributes } from '../backend/kernels/linear.ts';
import { assertFloatShape, assertOneOf } from '../shape-checks.ts';
import { type Gradient, gradientDepth, isTapeOn } from './gradients/support.ts';
import { keptBuffer } from './kept-buffer.ts';

/** Activations of {@link linear}: GELU is the exact one, x Φ(x); SiLU is x σ(x). */
export const LINEAR_ACTIVATIONS = ['none', 'relu', 'gelu', 'tanh', 'sigmoid', 'silu'] as const;

/** Name of an activation of {@link linear}. */
export type LinearActivation = (typeof LINEAR_ACTIVATIONS)[number];

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Added to each row, `[outputs]`. Default: none. */
  bias?: tf.Tensor | undefined;
  /** Default `'none'`. */
  activation?: LinearActivation | undefined;
}

/**
 * `activation(x · weight + bias)`, as one matrix product that finishes its tiles with bias and activation.
 *
 * @param x float32 `[..., inputs]`, at least one dimension
 * @param weight float32 `[inputs, outputs]`
 * @param options bias and activation
 * @returns float32 `[..., outputs]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, options: LinearOptions = {}): tf.Tensor {
  const { bias, activation = 'none' } = options;
  assertOneOf('linear: activation', activation, LINEAR_ACTIVATIONS);
  const { inputs, outputs } = assertFloatShape('linear: weight', weight, [
    'inputs',
    'outputs',
  ]) as unknown as LinearSizes;
  assertFloatShape('linear: x', x, ['...', 'inputs'], { inputs });
  if (bias !== undefined) assertFloatShape('linear: bias', bias, ['outputs'], { outputs });

  if (tf.getBackend() !== BACKEND_NAME || gradientDepth() > 1) return composedLinear(x, weight, bias, activation);
  const attributes: LinearAttributes = {
    activation: activation === 'none' ? 'linear' : activation,
    hasBias: bias !== undefined,
  };
  const tensors = { x, weight, ...(bias === undefined ? {} : { bias }) };
  if (!isTapeOn() || activation === 'none') return run('FwpLinear', tensors, attributes);
  if (!FROM_INPUT.has(activation)) return run('FwpLinearKeepingOutput', tensors, attributes);
  const z = keptBuffer([...x.shape.slice(0, -1), outputs]);
  try {
    return run('FwpLinearKeepingInput', { ...tensors, z }, attributes);
  } finally {
    z.dispose();
  }
}

interface LinearSizes {
  inputs: number;
  outputs: number;
}

/** Activations whose derivative is not a function of y. */
const FROM_INPUT: ReadonlySet<LinearActivation> = new Set<LinearActivation>(['gelu', 'silu']);

function run(kernel: string, inputs: tf.NamedTensorMap, attributes: LinearAttributes): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
}

// ---- gradient ------------------------------------------------------------------------------------

function gradient(kernelName: string, inputsToSave: string[], outputsToSave: boolean[]): Gradient {
  return {
    kernelName,
    inputsToSave,
    outputsToSave,
    gradFunc: (upstream, saved, attrs) => {
      const dy = upstream as tf.Tensor;
      const [x, weight, known] = saved as [tf.Tensor, tf.Tensor, tf.Tensor?];
      const { activation, hasBias } = attrs as unknown as LinearAttributes;
      const elementwise = (inputs: tf.NamedTensorMap) =>
        tf.engine().runKernel('FwpLinearGradient', inputs, { activation, hasBias } as never) as unknown as tf.Tensor[];
      const [dz, dBias] = known === undefined ? [dy] : (elementwise({ dy, known }) as [tf.Tensor, tf.Tensor?]);
      return {
        x: () => linearInputGradient(dz, weight),
        weight: () => linearWeightGradient(x, dz),
        bias: () => dBias ?? (elementwise({ dy })[0] as tf.Tensor),
      };
    },
  };
}

/** Gradients of the kernels, for {@link registerGradients}. */
export const linearGradients: readonly Gradient[] = [
  gradient('FwpLinear', ['x', 'weight'], [false]),
  gradient('FwpLinearKeepingOutput', ['x', 'weight'], [true]),
  gradient('FwpLinearKeepingInput', ['x', 'weight', 'z'], [false]),
];

/** dx = dz Wᵀ, for dz `[..., outputs]` and W `[inputs, outputs]`. */
export function linearInputGradient(dz: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const shape = [...dz.shape.slice(0, -1), weight.shape[0] as number];
  return tf.reshape(tf.matMul(asMatrix(dz), weight, false, true), shape);
}

/** dW = xᵀ dz, for x `[..., inputs]` and dz `[..., outputs]`. */
export function linearWeightGradient(x: tf.Tensor, dz: tf.Tensor): tf.Tensor {
  return tf.matMul(asMatrix(x), asMatrix(dz), true, false);
}

/** A tensor's rows as a matrix: all dimensions but the last one merged. */
function asMatrix(x: tf.Tensor): tf.Tensor2D {
  if (x.rank === 2) return x as tf.Tensor2D;
  const columns = x.shape.at(-1) as number;
  return tf.reshape(x, [x.shape.slice(0, -1).reduce((product, extent) => product * extent, 1), columns]);
}

// ---- on other backends, and where the gradient is differentiated again ---------------------------

const COMPOSED: Readonly<Record<LinearActivation, (z: tf.Tensor) => tf.Tensor>> = {
  none: (z) => z,
  relu: (z) => tf.relu(z),
  gelu: (z) => tf.mul(tf.mul(z, 0.5), tf.add(tf.erf(tf.mul(z, Math.SQRT1_2)), 1)),
  tanh: (z) => tf.tanh(z),
  sigmoid: (z) => tf.sigmoid(z),
  silu: (z) => tf.mul(z, tf.sigmoid(z)),
};

function composedLinear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  activation: LinearActivation,
): tf.Tensor {
  return tf.tidy(() => {
    const product = tf.matMul(asMatrix(x), weight as tf.Tensor2D);
    const z = bias === undefined ? product : tf.add(product, bias);
    return tf.reshape(COMPOSED[activation](z), [...x.shape.slice(0, -1), weight.shape[1] as number]);
  });
}
