/**
 * Gradients that use the operation's own output: tanh, sigmoid, exp, elu, relu, sqrt, softmax, log-softmax and pow.
 *
 * tfjs saves a copy of the output that it recorded before the operation itself was on the tape, so nothing connects
 * the copy to the input, and second derivatives throw or come out wrong. Here the input is saved as well, but only
 * while gradients are nested; the gradient is then written in terms of the input, so that it can be differentiated.
 * Otherwise nothing changes: the output is used, by a fused kernel where the backend has one.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, gradientDepth, isTapeOn, runIfRegistered, runKernel, sumToShape } from './support.ts';

/** The gradient of a function of one tensor, `y = f(x)`. */
interface OutputGradient {
  readonly kernelName: string;
  /** The input's name in the kernel. */
  readonly input: string;
  /** dL/dx from dL/dy and y; runs outside the tape. */
  fast(dy: tf.Tensor, y: tf.Tensor): tf.Tensor;
  /** dL/dx from dL/dy and x, in operations that can be differentiated again. */
  differentiable(dy: tf.Tensor, x: tf.Tensor): tf.Tensor;
}

const tanh: OutputGradient = {
  kernelName: tf.Tanh,
  input: 'x',
  fast: (dy, y) => fusedForFloats('FwpTanhGrad', dy, y) ?? tanhGradient(dy, y),
  differentiable: (dy, x) => tanhGradient(dy, tf.tanh(x)),
};

const sigmoid: OutputGradient = {
  kernelName: tf.Sigmoid,
  input: 'x',
  fast: (dy, y) => fusedForFloats('FwpSigmoidGrad', dy, y) ?? sigmoidGradient(dy, y),
  differentiable: (dy, x) => sigmoidGradient(dy, tf.sigmoid(x)),
};

const exp: OutputGradient = {
  kernelName: tf.Exp,
  input: 'x',
  fast: (dy, y) => tf.mul(dy, y),
  differentiable: (dy, x) => tf.mul(dy, tf.exp(x)),
};

const elu: OutputGradient = {
  kernelName: tf.Elu,
  input: 'x',
  fast: (dy, y) => runKernel(tf.EluGrad, { dy, y }),
  // exp(min(x, 0)) is 1 for x ≥ 0 and never overflows.
  differentiable: (dy, x) => tf.mul(dy, tf.exp(tf.minimum(x, 0))),
};

const relu: OutputGradient = {
  kernelName: tf.Relu,
  input: 'x',
  fast: (dy, y) => fusedForFloats('FwpReluGrad', dy, y) ?? tf.mul(dy, tf.step(tf.cast(y, 'float32'))),
  differentiable: (dy, x) => tf.mul(dy, tf.step(tf.cast(x, 'float32'))),
};

const sqrt: OutputGradient = {
  kernelName: tf.Sqrt,
  input: 'x',
  fast: (dy, y) => fusedForFloats('FwpSqrtGrad', dy, y) ?? tf.div(dy, tf.mul(y, 2)),
  differentiable: (dy, x) => tf.div(dy, tf.mul(tf.sqrt(tf.cast(x, 'float32')), 2)),
};

const softmax: OutputGradient = {
  kernelName: tf.Softmax,
  input: 'logits',
  fast: (dy, y) => fusedForFloats('FwpSoftmaxGrad', dy, y) ?? softmaxGradient(dy, y),
  differentiable: (dy, x) => softmaxGradient(dy, tf.softmax(x)),
};

const logSoftmax: OutputGradient = {
  kernelName: tf.LogSoftmax,
  input: 'logits',
  fast: (dy, y) => fusedForFloats('FwpLogSoftmaxGrad', dy, y) ?? logSoftmaxGradient(dy, tf.exp(y)),
  differentiable: (dy, x) => logSoftmaxGradient(dy, tf.softmax(x)),
};

const outputGradients = [tanh, sigmoid, exp, elu, relu, sqrt, softmax, logSoftmax];

/** softplus needs its input in any case; its derivative is the sigmoid. */
const softplus: Gradient = {
  kernelName: tf.Softplus,
  inputsToSave: ['x'],
  gradFunc: (upstream, saved) => {
    const dy = upstream as tf.Tensor;
    const x = saved[0] as tf.Tensor;
    const fused = (): tf.Tensor | undefined => (isTapeOn() ? undefined : runIfRegistered('FwpSoftplusGrad', { dy, x }));
    return { x: () => fused() ?? tf.mul(dy, tf.sigmoid(x)) };
  },
};

/** a^b needs both inputs in any case; its output serves the gradient of b. */
const pow: Gradient = {
  kernelName: tf.Pow,
  inputsToSave: ['a', 'b'],
  outputsToSave: [true],
  gradFunc: (dy, saved) => {
    const upstream = dy as tf.Tensor;
    const [a, b, y] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    const exponent = tf.cast(b, 'float32');
    return {
      a: () => sumToShape(tf.mul(upstream, tf.mul(exponent, tf.pow(a, tf.sub(exponent, 1)))), a.shape),
      b: () => {
        const power = isTapeOn() ? tf.pow(a, exponent) : y;
        // log a, and 0 where a ≤ 0 (as in TensorFlow); the logarithm's argument is 1 there, so that no NaN arises.
        const positive = tf.greater(a, 0);
        const logarithm = tf.log(tf.where(positive, tf.cast(a, 'float32'), tf.onesLike(tf.cast(a, 'float32'))));
        return sumToShape(tf.mul(upstream, tf.mul(power, logarithm)), b.shape);
      },
    };
  },
};

/** Gradients of operations that save their output. */
export const savedOutputGradients: readonly Gradient[] = [...outputGradients.map(gradientFromOutput), softplus, pow];

function gradientFromOutput({ kernelName, input, fast, differentiable }: OutputGradient): Gradient {
  const inputs = [input];
  return {
    kernelName,
    // tfjs reads this when the operation runs. Its gradient will be recorded exactly if two gradients are nested there.
    get inputsToSave(): string[] {
      return gradientDepth() > 1 ? inputs : [];
    },
    outputsToSave: [true],
    gradFunc: (dy, saved) => {
      const upstream = dy as tf.Tensor;
      const y = saved[saved.length - 1] as tf.Tensor;
      const x = saved.length > 1 && isTapeOn() ? (saved[0] as tf.Tensor) : undefined;
      return { [input]: () => (x === undefined ? fast(upstream, y) : differentiable(upstream, x)) };
    },
  };
}

/** A fused gradient kernel, where the backend has it; these know float32 only. */
function fusedForFloats(kernelName: string, dy: tf.Tensor, y: tf.Tensor): tf.Tensor | undefined {
  return y.dtype === 'float32' ? runIfRegistered(kernelName, { dy, y }) : undefined;
}

/** dy (1 − y²) */
function tanhGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.mul(dy, tf.sub(1, tf.square(y)));
}

/** dy y (1 − y) */
function sigmoidGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.mul(dy, tf.mul(y, tf.sub(1, y)));
}

/** y (dy − Σ dy y), over the last axis, which is the only one that the kernel knows */
function softmaxGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const weighted = tf.mul(dy, y);
  return tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), y));
}

/** dy − softmax(x) Σ dy */
function logSoftmaxGradient(dy: tf.Tensor, probabilities: tf.Tensor): tf.Tensor {
  return tf.sub(dy, tf.mul(tf.sum(dy, -1, true), probabilities));
}
