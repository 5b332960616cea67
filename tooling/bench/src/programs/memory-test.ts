/** Memory over many training steps of a small model: does anything grow? */

import * as tf from '@tensorflow/tfjs-core';
import type { MemorySamples } from '../harness/protocol.ts';
import { uniformTensor } from './operation-programs.ts';
import type { Operations } from './operations.ts';
import { integers } from './values.ts';

const BATCH = 16;
const WIDTHS = [32, 64, 8] as const;

/** Steps before the sampled ones, as a multiple of these: V8 enlarges its young generation after 10,000 to 20,000 steps. */
const WARM_UP = 3;

/**
 * Trains a 32-64-8 classifier with layer norm, on a fresh batch at every step. More steps go before the
 * sampled ones, in which V8 and the system's allocator get to the sizes that they like.
 *
 * @param steps number of sampled training steps
 * @param every steps between samples
 */
export function memoryTest(operations: Operations, steps: number, every: number): MemorySamples {
  const [inputs, hidden, classes] = WIDTHS;
  const variable = (shape: number[], seed: number): tf.Variable =>
    tf.tidy(() => tf.variable(uniformTensor(shape, seed, 0.2)));
  const variables = [
    variable([inputs, hidden], 1),
    variable([hidden], 2),
    variable([hidden], 3),
    variable([hidden], 4),
    variable([hidden, classes], 5),
    variable([classes], 6),
  ];
  const [w1, b1, scale, offset, w2, b2] = variables as [
    tf.Variable,
    tf.Variable,
    tf.Variable,
    tf.Variable,
    tf.Variable,
    tf.Variable,
  ];
  const adam = operations.adam(variables, 1e-3);
  const samples = { residentBytes: [] as number[], liveBytes: [] as number[], tensors: [] as number[] };
  const backend = tf.backend() as unknown as { memory(): { numBytesLive: number } };
  const begin = performance.now();
  for (let step = -WARM_UP * steps; step < steps; step++) {
    tf.tidy(() => {
      const x = uniformTensor([BATCH, inputs], 100 + WARM_UP * steps + step);
      const labels = tf.tensor1d(integers(BATCH, 7, classes), 'int32');
      adam.step(() => {
        const first = operations.layerNorm(operations.linear(x, w1, b1, true), scale, offset);
        return operations.crossEntropy(operations.linear(first, w2, b2), labels);
      });
    });
    if (step < 0 || (step + 1) % every !== 0) continue;
    samples.residentBytes.push(process.memoryUsage.rss());
    samples.liveBytes.push(backend.memory().numBytesLive);
    samples.tensors.push(tf.memory().numTensors);
  }
  const milliseconds = performance.now() - begin;
  adam.dispose();
  tf.dispose(variables);
  return { ...samples, milliseconds };
}
