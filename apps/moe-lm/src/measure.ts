/** What a differentiable computation takes: time of the forward pass and of a training step, and what it keeps in between. */

import { type Module, valueAndGradients } from '@fwp/core';
import { readScalar, readValues } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';

/** What {@link measure} found. */
export interface Measurement {
  /** Milliseconds of the forward pass. */
  readonly forwardMs: number;
  /** Milliseconds of the forward and the backward pass. */
  readonly stepMs: number;
  /** Bytes that the forward pass leaves for the backward pass, inputs and parameters apart. */
  readonly activationBytes: number;
}

/** Least number of rounds, and milliseconds after which there are enough. */
const [LEAST_ROUNDS, ENOUGH_MS] = [5, 1500];

/**
 * Measures a computation and its gradients with respect to a module's parameters. Of all rounds the fastest counts: what else
 * happens on a machine only makes it slower.
 */
export async function measure(module: Module, compute: () => tf.Tensor): Promise<Measurement> {
  const variables = module.parameters();
  let activationBytes = 0;
  const forward = () => readValues(tf.tidy(compute));
  const step = async () => {
    const before = liveBytes();
    const { value, gradients } = valueAndGradients(() => {
      const output = compute();
      activationBytes = liveBytes() - before;
      return tf.sum(output) as tf.Scalar;
    }, variables);
    await readScalar(value);
    // Kernels run where they are called; a gradient that is there has been computed.
    tf.dispose(gradients);
  };
  return { forwardMs: await fastest(forward), stepMs: await fastest(step), activationBytes };
}

/** Bytes in use: those of the heap on this project's engines, where copies share memory; else the sizes of all tensors. */
function liveBytes(): number {
  const { numBytesLive, numBytes } = tf.memory() as tf.MemoryInfo & { readonly numBytesLive?: number };
  return numBytesLive ?? numBytes;
}

async function fastest(run: () => Promise<unknown>): Promise<number> {
  await run();
  let best = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  for (let round = 0; round < LEAST_ROUNDS || performance.now() - begin < ENOUGH_MS; round++) {
    const start = performance.now();
    await run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
