/** What is remembered is there again, also in another process, and nothing else is. */

import { dispose, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CarriedMemory } from '../src/carried-memory.ts';

const sizes = { layers: 2, batchSize: 2, memoryLength: 4, size: 3 };

beforeAll(async () => {
  await init({ device: 'wasm' });
});
afterAll(() => dispose());

const stateOf = (elements: number) => {
  const layer = (first: number) =>
    tf.tidy(() => tf.reshape(tf.range(first, first + 2 * elements * 3), [2, elements, 3]));
  return { memories: [layer(0), layer(1)] as tf.Tensor3D[] };
};

it.each([2, 4])('gives back %d elements', (elements) => {
  const memory = new CarriedMemory(sizes);
  const expected = stateOf(elements).memories.map((tensor) => tensor.arraySync());
  const count = memory.remember(stateOf(elements));
  expect(count).toBe(elements);
  expect(memory.state(count)?.memories.map((tensor) => tensor.arraySync())).toEqual(expected);
  expect(memory.state(0)).toBeUndefined();
});

it('is part of checkpoints, and nothing of it is trained', () => {
  const [memory, other] = [new CarriedMemory(sizes), new CarriedMemory(sizes)];
  memory.remember(stateOf(3));
  other.loadStateDict(memory.stateDict());
  const values = [memory, other].map((m) => m.state(3)?.memories.map((tensor) => tensor.arraySync()));
  expect(values[0]).toEqual(values[1]);
  expect(memory.parameters()).toEqual([]);
});

it('remembering again leaves nothing behind', () => {
  const memory = new CarriedMemory(sizes);
  memory.remember(stateOf(4));
  const { numTensors } = tf.memory();
  memory.remember(stateOf(4));
  expect(tf.memory().numTensors).toBe(numTensors);
});
