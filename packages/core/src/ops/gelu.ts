/**
 * Gaussian error linear unit (Hendrycks and Gimpel 2016):
 *
 *   y = x Φ(x) = x (1 + erf(x / √2)) / 2          dx = dy (Φ(x) + x φ(x))
 *
 * or its approximation in section 2 there, y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2. Φ and φ are the normal
 * distribution function and its density; x and y have any shape.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertOneOf, assertTensor } from '../shape-checks.ts';
import { canFuse } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `'none'`: exact; `'tanh'`: the approximation by tanh, as in GPT-2. Default `'none'`. */
  approximate?: 'none' | 'tanh' | undefined;
}

/**
 * x Φ(x), element by element.
 *
 * @param x float32, any shape
 * @param options the exact function or its approximation
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype or option
 */
export function gelu<T extends tf.Tensor>(x: T, { approximate = 'none' }: GeluOptions = {}): T {
  assertTensor('gelu: x', x, 'float32');
  assertOneOf('gelu: approximate', approximate, ['none', 'tanh']);
  const kernel = approximate === 'none' ? 'FwpGelu' : 'FwpGeluTanh';
  if (canFuse(kernel)) return runKernel(kernel, { x }) as T;
  return tf.tidy(() => {
    const bent =
      approximate === 'none'
        ? tf.erf(tf.mul(x, Math.SQRT1_2))
        : tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI)));
    return tf.mul(tf.mul(x, 0.5), tf.add(bent, 1)) as T;
  });
}

/** Gradients of {@link gelu}, for `registerGradients`. */
export const geluGradients: readonly Gradient[] = ['FwpGelu', 'FwpGeluTanh'].map((kernelName) => ({
  kernelName,
  inputsToSave: ['x'],
  gradFunc: (dy, [x]) => ({ x: () => runKernel(`${kernelName}Grad`, { dy: dy as tf.Tensor, x: x as tf.Tensor }) }),
}));
