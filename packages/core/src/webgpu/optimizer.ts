/** What optimisers do on the GPU: clip by the joint norm without reading it, and update a parameter in one kernel. */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { joinParts, withWorkspace } from './kernel-table.ts';
import { ADAM_GRAIN, adam } from './kernels/adam.ts';
import { clipFactorKernel } from './kernels/clip-factor.ts';
import { NORM_BLOCK, squaredNorm } from './kernels/squared-norm.ts';
import { runKernel } from './program.ts';

/** The GPU's backend if tfjs computes on it now. */
export function activeGpuBackend(): WebGpuBackend | undefined {
  return tf.getBackend() === 'webgpu' ? (tf.backend() as unknown as WebGpuBackend) : undefined;
}

/** A joint norm and what gradients are multiplied with; tensors `[1]`, the caller's. */
export interface ClippedOnGpu {
  /** Before clipping, with the scale. */
  readonly norm: tf.Tensor;
  /** With the scale. */
  readonly factor: tf.Tensor;
}

/**
 * The joint norm of gradients, and the factor that clips them.
 *
 * @param scale multiplies all gradients before clipping
 */
export function clipOnGpu(
  backend: WebGpuBackend,
  gradients: readonly tf.Tensor[],
  scale: number,
  maxNorm: number,
): ClippedOnGpu {
  const blocks = gradients.map(({ size }) => Math.ceil(size / NORM_BLOCK));
  const count = blocks.reduce((a, b) => a + b, 0);
  return withWorkspace(backend, [Math.max(1, count)], (partial) => {
    let offset = 0;
    for (const [index, x] of gradients.entries()) {
      const groups = blocks[index] as number;
      runKernel(backend, squaredNorm, { tensors: { x, partial }, parameters: { size: x.size, offset }, groups });
      offset += groups;
    }
    const [norm, factor] = [newTensor(backend, [1]), newTensor(backend, [1])];
    const parameters = { count, scale, max_norm: maxNorm };
    runKernel(backend, clipFactorKernel, { tensors: { partial, norm, factor }, parameters, groups: 1 });
    return { norm, factor };
  });
}

/** Numbers of an update, named as in `kernels/adam.ts`. */
export type AdamNumbers = Readonly<
  Record<'rate' | 'keep' | 'l2' | 'correction' | 'first_rate' | 'second_rate' | 'epsilon', number>
>;

/** One update of a parameter and its moments, in place. The gradient is multiplied by `scale`. */
export function adamOnGpu(
  backend: WebGpuBackend,
  gradient: tf.Tensor,
  scale: number | tf.Tensor,
  variables: readonly [p: tf.Variable, m: tf.Variable, v: tf.Variable],
  numbers: AdamNumbers,
): void {
  const { size } = gradient;
  if (size === 0) return;
  for (const variable of variables) {
    // Others that have its content, clones for example, keep it.
    if (backend.refCount(variable.dataId) > 1) assignCopy(backend, variable);
  }
  const [p, m, v] = variables;
  const isNumber = typeof scale === 'number';
  runKernel(backend, adam, {
    tensors: { gradient, p, m, v, ...(isNumber ? {} : { scale }) },
    parameters: { ...numbers, size, factor: isNumber ? scale : 1 },
    isVolatile: true,
    groups: Math.ceil(size / ADAM_GRAIN),
  });
  for (const { dataId } of variables) backend.changed(dataId);
}

function assignCopy(backend: WebGpuBackend, variable: tf.Variable): void {
  const copy = newTensor(backend, variable.shape);
  joinParts(backend, [variable], copy);
  variable.assign(copy);
  copy.dispose();
}

/** A float32 tensor of undefined content, for a kernel to write. */
function newTensor(backend: WebGpuBackend, shape: number[]): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(backend.makeOutput(shape, 'float32'), backend);
}
