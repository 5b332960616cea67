/** Waiting for a device that works on while the program goes ahead. */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from '../webgpu/backend.ts';
import { device } from './device.ts';

/**
 * Waits until the device has computed everything that it was asked for: for taking times. Devices `native`, `wasm` and `cpu` have, whenever
 * an operation returns; GPUs work on.
 *
 * @throws Error before the first `init()`, and what went wrong on the device
 */
export async function synchronize(): Promise<void> {
  const { name } = device();
  if (name === 'webgpu') await (tf.backend() as WebGpuBackend).finish();
  if (name === 'tensorflow') {
    // TensorFlow computes in the order in which it is asked, and tells of its end only by a number that is read.
    const last = tf.tidy(() => tf.neg(tf.scalar(1)));
    await last.data();
    last.dispose();
  }
}
