/** A stream of 100,000 elements: memory follows the binary number of chunks, and outputs stay those of training. */

import { dispose, init, RandomStream, randomNormal, rootLevels } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TransformerPsm } from '../src/index.ts';

const [LENGTH, CHUNK, SIZE] = [100_000, 16, 8];

beforeAll(async () => {
  await init();
});
afterAll(dispose);

it('grows as the logarithm of 100,000 elements, and equals training to 1e-5', () => {
  const layer = new TransformerPsm({ chunkSize: CHUNK, size: SIZE, heads: 2, random: new RandomStream(1) });
  const x = randomNormal(new RandomStream(2), [1, LENGTH, SIZE]) as tf.Tensor3D;
  const expected = tf.tidy(() => layer.apply(x).dataSync());
  const inputs = x.dataSync();
  let state = layer.initialState(1);
  const { numTensors } = tf.memory();
  let worst = 0;
  let mostRoots = 0;
  for (let t = 0; t < LENGTH; t++) {
    const element = tf.tensor2d(inputs.slice(t * SIZE, (t + 1) * SIZE), [1, SIZE]);
    const next = layer.step(element, state);
    const output = next.output.dataSync();
    for (let i = 0; i < SIZE; i++) worst = Math.max(worst, Math.abs(output[i]! - expected[t * SIZE + i]!));
    tf.dispose([element, next.output, state]);
    state = next.state;
    if ((t + 1) % CHUNK !== 0) continue;
    const chunks = (t + 1) / CHUNK;
    const levels = rootLevels(chunks);
    if (state.roots.some(({ level }, i) => level !== levels[i]) || state.roots.length !== levels.length) {
      expect.fail(`after ${chunks} chunks the roots have levels ${state.roots.map(({ level }) => level)}`);
    }
    mostRoots = Math.max(mostRoots, levels.length);
  }
  expect(worst).toBeLessThan(1e-5);
  expect(mostRoots).toBe(12); // 4095 chunks are twelve ones; 6250 are the last.
  // Beside the roots there are the chunk and what Inf has read: as many tensors as at the start.
  expect(tf.memory().numTensors - numTensors).toBeLessThanOrEqual(2 * rootLevels(LENGTH / CHUNK).length);
  tf.dispose([state as never, x]);
  layer.dispose();
}, 1_200_000);
