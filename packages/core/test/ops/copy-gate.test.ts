import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyGate, dispose, init, RandomStream } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { expectMatchesReference, expectSameBits, expectWithin, noiseInput } from './against-reference.ts';

const devices = await availableDevices();

/** Rows whose gate is closed, from the words of the stream. */
function closedRows(rows: number, rate: number, seed: number): boolean[] {
  const words = new RandomStream(seed).bits(rows);
  return Array.from({ length: rows }, (_, i) => (words[i] as number) >= Math.round((1 - rate) * 2 ** 32));
}

function inputsOf(shape: number[]) {
  return {
    state: noiseInput(shape, 1, 2),
    update: noiseInput(shape, 2, 2),
    gate: noiseInput(shape, 3, 4),
  };
}

function valueAndGradients(shape: number[], seed: number): Float32Array[] {
  return tf.tidy(() => {
    const tensors = Object.values(inputsOf(shape)).map(({ values }) => tf.tensor(values, shape));
    const apply = (...[state, update, gate]: tf.Tensor[]) =>
      copyGate(state!, update!, gate!, {
        gateDropout: { rate: 0.2, random: new RandomStream(seed) },
      });
    const dy = tf.tensor(noiseInput(shape, 4).values, shape);
    return [apply(...tensors), ...tf.grads(apply)(tensors, dy)].map((x) => x.dataSync() as Float32Array);
  });
}

describe.each([...devices, ...composedDevices])('copyGate on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('keeps or replaces each number, with exact gradients', () => {
    const before = tf.memory().numTensors;
    const shapes = fc.tuple(
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 2 }),
      fc.constantFrom(1, 3, 8, 33, 130),
    );
    fc.assert(
      fc.property(shapes, fc.constantFrom(0, 0.1, 0.6), fc.nat(), ([leading, features], rate, seed) => {
        const shape = [...leading, features];
        const closed = closedRows(tf.util.sizeFromShape(leading), rate, seed);
        expectMatchesReference({
          inputs: inputsOf(shape),
          operation: ({ state, update, gate }) => [
            copyGate(state!, update!, gate!, {
              gateDropout: { rate, random: new RandomStream(seed) },
            }),
          ],
          reference: ({ state, update, gate }) => [
            state!.map((h, i) => {
              const g = closed[Math.floor(i / features)] ? 0 : 1 / (1 + Math.exp(-gate![i]!));
              return h + g * (update![i]! - h);
            }),
          ],
        });
      }),
      { numRuns: 30 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('keeps the state bit for bit where the gate is closed, and moves by σ(−3) of the way at first', () => {
    tf.tidy(() => {
      const { state, update } = inputsOf([7, 5]);
      const [h, m] = [state, update].map(({ values }) => tf.tensor(values, [7, 5])) as [tf.Tensor, tf.Tensor];
      const kept = copyGate(h, m, tf.fill([7, 5], Number.NEGATIVE_INFINITY));
      expectSameBits([kept.dataSync() as Float32Array], [state.values]);
      expectWithin(copyGate(h, m, tf.fill([7, 5], 40)).dataSync(), update.values, 1e-6, 'open');
      const moved = copyGate(tf.zeros([1]), tf.ones([1]), tf.fill([1], -3)).dataSync()[0];
      expect(moved).toBeCloseTo(0.047426, 6);
    });
  });

  it('moves the stream on by its rows, and without dropout not at all', () => {
    tf.tidy(() => {
      const random = new RandomStream(1);
      const x = tf.ones([2, 3, 5]);
      copyGate(x, x, x, { gateDropout: { rate: 0, random } });
      expect(random.position).toBe(0);
      copyGate(x, x, x, { gateDropout: { rate: 0.5, random } });
      const expected = new RandomStream(1);
      expected.reserve(6);
      expect(random.state).toEqual(expected.state);
    });
  });

  it('refuses bad arguments', () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = tf.ones([2, 3]);
      expect(() => copyGate(x, tf.ones([3]), x)).toThrow('copyGate: update');
      expect(() => copyGate(x, x, tf.ones([2, 3], 'int32'))).toThrow('copyGate: gate must be float32');
      expect(() =>
        copyGate(x, x, x, {
          gateDropout: { rate: 1, random: new RandomStream() },
        }),
      ).toThrow('gateDropout.rate');
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('can be differentiated twice', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([0.5, -1, 2]);
      const cube = (gate: tf.Tensor) => tf.pow(copyGate(tf.zeros([3]), tf.ones([3]), gate), 3);
      const second = tf
        .grad((gate) => tf.grad(cube)(gate))(x)
        .dataSync();
      for (const [i, v] of x.dataSync().entries()) {
        const s = 1 / (1 + Math.exp(-v));
        expect(second[i]).toBeCloseTo(9 * s ** 3 * (1 - s) ** 2 - 3 * s ** 4 * (1 - s), 4);
      }
    });
  });
});

it.each(devices)('copyGate on $name gives the same bits for every number of threads', async ({ options }) => {
  await expectSameBitsForAllThreads(options, () => valueAndGradients([701, 97], 5));
  await dispose();
});
