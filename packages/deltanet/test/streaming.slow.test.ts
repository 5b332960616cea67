/**
 * A stream of a million elements through a DeltaNet layer in pieces, and a part of it one by one: the memory that is in use
 * does not depend on how many there were.
 */

import * as core from '@fwp/core';
import { dispose, init, RandomStream, randomNormal } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeltaNet, type FastWeightState } from '../src/index.ts';

const ELEMENTS = 1_000_000;
const SIZE = 64;
const PIECE = 1000;

describe.each((await availableDevices(core)).filter(({ name }) => name !== 'cpu'))(
  'a long stream on $name',
  ({ options }) => {
    beforeAll(async () => {
      await init(options);
    });
    afterAll(dispose);

    /** Bytes of live tensors and of the heap after each call of `advance`; both must stay what they were after the second. */
    function expectConstantMemory(count: number, advance: (state: FastWeightState) => FastWeightState): void {
      let state = layer.initialState(1);
      const measured = new Set<string>();
      for (let i = 0; i < count; i++) {
        const next = advance(state);
        tf.dispose(state);
        state = next;
        const { numTensors, numBytes, numBytesInHeap } = tf.memory() as tf.MemoryInfo & { numBytesInHeap: number };
        if (i > 0) measured.add(`${numTensors} tensors, ${numBytes} bytes, heap ${numBytesInHeap}`);
      }
      expect([...measured]).toHaveLength(1);
      const fastWeights = state.fastWeights.dataSync();
      expect(fastWeights.every(Number.isFinite)).toBe(true);
      expect(fastWeights.some((value) => Math.abs(value) > 1e-3)).toBe(true);
      tf.dispose(state);
    }

    let layer: DeltaNet;
    beforeAll(() => {
      const weightInitializer = (shape: number[], random: RandomStream) =>
        randomNormal(random, shape, { standardDeviation: 0.3 });
      layer = new DeltaNet({ size: SIZE, heads: 4, random: new RandomStream(1), weightInitializer }).eval();
    });
    afterAll(() => layer.dispose());

    it(`${ELEMENTS} elements in pieces take the memory of one piece`, () => {
      const random = new RandomStream(2);
      expectConstantMemory(ELEMENTS / PIECE, (state) =>
        tf.tidy(() => {
          const x = randomNormal(random, [1, PIECE, SIZE]) as tf.Tensor3D;
          return layer.forward(x, state).state;
        }),
      );
    });

    it(`${ELEMENTS / 50} single elements take the memory of one`, () => {
      const random = new RandomStream(3);
      expectConstantMemory(ELEMENTS / 50, (state) =>
        tf.tidy(() => layer.step(randomNormal(random, [1, SIZE]) as tf.Tensor2D, state).state),
      );
    });
  },
);
