/** Memory that a kernel fills in its forward and its gradient reads. */

import * as tf from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend/backend.ts';

/**
 * A float32 tensor of undefined content on the CPU engine or a GPU (the current backend must be `fwp` or `webgpu`), to be passed to a kernel as
 * an input that it fills and its gradient saves. As an output it would be given a gradient, for which tfjs makes a
 * tensor of zeros, in JavaScript.
 *
 * Dispose of it after the kernel ran: what the tape saved stays.
 *
 * @param shape its shape
 */
export function keptBuffer(shape: number[]): tf.Tensor {
  const backend = tf.backend() as FwpBackend;
  return tf.engine().makeTensorFromTensorInfo(backend.makeOutput(shape, 'float32'), backend);
}
