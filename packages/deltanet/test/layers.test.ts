/** What every sequence layer must do, whatever its update rule. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '@fwp/core';
import { Adam, dispose, init, loadCheckpoint, RandomStream, randomNormal, saveCheckpoint } from '@fwp/core';
import {
  assertAllClose,
  availableDevices,
  expectLearns,
  expectPiecesEqualWhole,
  piece,
  stateValues,
  wasm,
} from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMixer, MIXERS, type MixerName } from '../src/index.ts';
import { cases, makeMixer, makeVividMixer, SIZE } from './mixers.ts';

const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };

function noise(shape: number[], seed: number): tf.Tensor3D {
  return randomNormal(new RandomStream(seed), shape) as tf.Tensor3D;
}

describe.each(await availableDevices(core))('layers on $name', ({ name: device, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(device === 'wasm' ? Object.keys(cases) : ['deltaNet', 'linearAttention', 'gatedDeltaNet'])(
    '%s: streams and pieces with carried state equal the whole',
    (name) => {
      tf.tidy(() => {
        const mixer = makeVividMixer(name, new RandomStream(1));
        expectPiecesEqualWhole(mixer, noise([2, 9, SIZE], 2), {
          lengths: [
            [4, 5],
            [1, 7, 1],
          ],
        });
        mixer.dispose();
      });
    },
  );
});

describe('layers', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  const ours = Object.keys(cases).filter((name) => name !== 'lstm' && name !== 'softmaxAttention');

  it.each(ours)('%s: padding at the end has no influence, not even on the state', (name) => {
    tf.tidy(() => {
      const mixer = makeVividMixer(name, new RandomStream(1));
      const x = noise([2, 7, SIZE], 3);
      const mask = tf.tensor2d([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0], [2, 7], 'bool');
      const spoiled = tf.where(tf.expandDims(mask, 2), x, tf.fill(x.shape, Number.NaN)) as tf.Tensor3D;
      const padded = mixer.forward(spoiled, undefined, { paddingMask: mask });
      for (const [row, length] of [5, 4].entries()) {
        const sequence = tf.slice(x, [row, 0, 0], [1, length, SIZE]) as tf.Tensor3D;
        const exact = mixer.forward(sequence);
        const output = tf.slice(padded.output, [row, 0, 0], [1, length, SIZE]);
        assertAllClose(output.dataSync(), exact.output.dataSync(), { ...TOLERANCE, name: 'output' });
        const states = Object.values(padded.state as object).filter((item) => item instanceof tf.Tensor) as tf.Tensor[];
        const ownState = states.flatMap((tensor) => Array.from(tf.slice(tensor, [row], [1]).dataSync()));
        assertAllClose(ownState, stateValues(exact.state), { ...TOLERANCE, name: 'state' });
      }
      mixer.dispose();
    });
  });

  it.each(ours)('%s: padding at the beginning has no influence', (name) => {
    tf.tidy(() => {
      const mixer = makeVividMixer(name, new RandomStream(1));
      const x = noise([1, 6, SIZE], 4);
      const paddingMask = tf.tensor2d([0, 0, 1, 1, 1, 1], [1, 6], 'bool');
      const padded = piece(mixer.apply(x, { paddingMask }), 2, 4);
      assertAllClose(padded.dataSync(), mixer.apply(piece(x, 2, 4)).dataSync(), TOLERANCE);
      mixer.dispose();
    });
  });

  it.each(ours)('%s: padding of a whole sequence leaves its state alone', (name) => {
    tf.tidy(() => {
      const mixer = makeVividMixer(name, new RandomStream(1));
      const before = mixer.forward(noise([1, 4, SIZE], 5)).state;
      const paddingMask = tf.zeros([1, 3], 'bool');
      const { state } = mixer.forward(noise([1, 3, SIZE], 6), before, { paddingMask });
      assertAllClose(stateValues(state), stateValues(before), { rtol: 0, atol: 1e-7 });
      mixer.dispose();
    });
  });

  it('to a retention padding is as many positions: elements around it are further apart', () => {
    tf.tidy(() => {
      const mixer = makeVividMixer('retention', new RandomStream(1));
      const x = noise([1, 5, SIZE], 4);
      const paddingMask = tf.tensor2d([1, 1, 0, 1, 1], [1, 5], 'bool');
      const around = piece(mixer.apply(x, { paddingMask }), 3, 2);
      const together = tf.concat([piece(x, 0, 2), piece(x, 3, 2)], 1) as tf.Tensor3D;
      const difference = tf.max(tf.abs(tf.sub(around, piece(mixer.apply(together), 2, 2))));
      expect(difference.dataSync()[0]).toBeGreaterThan(1e-3);
      // The same is so between a passage that ends with padding and the next one.
      const padded = mixer.forward(piece(x, 0, 3), undefined, { paddingMask: piece(paddingMask, 0, 3) });
      const later = mixer.forward(piece(x, 3, 2), padded.state).output;
      assertAllClose(later.dataSync(), around.dataSync(), TOLERANCE);
      mixer.dispose();
    });
  });

  it.each(Object.keys(cases))('%s: learns, with a gradient for every parameter', (name) => {
    const mixer = makeMixer(name, new RandomStream(7));
    const optimizer = new Adam(mixer, { learningRate: 0.02 });
    tf.tidy(() => expectLearns(mixer, optimizer, noise([4, 6, SIZE], 8)));
    optimizer.dispose();
    mixer.dispose();
  });

  it.each(Object.keys(cases))('%s: a checkpoint restores it', async (name) => {
    const folder = await mkdtemp(join(tmpdir(), 'fwp-deltanet-'));
    try {
      const saved = makeVividMixer(name, new RandomStream(1));
      const loaded = makeVividMixer(name, new RandomStream(2));
      const x = noise([2, 4, SIZE], 9);
      const run = (mixer: typeof saved) => tf.tidy(() => Array.from(mixer.apply(x).dataSync()));
      expect(run(loaded)).not.toEqual(run(saved));
      await saveCheckpoint(join(folder, 'layer.safetensors'), { module: saved });
      await loadCheckpoint(join(folder, 'layer.safetensors'), { module: loaded });
      expect(run(loaded)).toEqual(run(saved));
      // What is drawn in training goes on from the same place, too.
      saved.train();
      loaded.train();
      expect(run(loaded)).toEqual(run(saved));
      for (const item of [saved, loaded, x]) item.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each(Object.keys(cases))('%s: keeps nothing but its state', (name) => {
    const none = tf.memory().numTensors;
    const mixer = makeMixer(name, new RandomStream(1));
    const x = noise([2, 3, SIZE], 10);
    const element = randomNormal(new RandomStream(1), [2, SIZE]) as tf.Tensor2D;
    const run = () => {
      const first = mixer.forward(x);
      const second = mixer.step(element, first.state);
      tf.dispose([first, second, mixer.apply(x)]);
    };
    run();
    const before = tf.memory().numTensors;
    run();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, element]);
    mixer.dispose();
    expect(tf.memory().numTensors).toBe(none);
  });

  it('any sizes, and none', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ours),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 5 }),
        (name, batch, length) => {
          tf.tidy(() => {
            const mixer = makeMixer(name, new RandomStream(1));
            const { output, state } = mixer.forward(tf.zeros([batch, length, SIZE]));
            expect(output.shape).toEqual([batch, length, SIZE]);
            expect(stateValues(state).every(Number.isFinite)).toBe(true);
            mixer.dispose();
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('a convolution of width 1 needs no history', () => {
    tf.tidy(() => {
      const mixer = createMixer('deltaNet2024', { size: SIZE, heads: 2, convolution: 1, random: new RandomStream(1) });
      const x = noise([2, 3, SIZE], 12);
      let state = mixer.initialState(2);
      const steps = tf.unstack(x, 1).map((element) => {
        const result = mixer.step(element as tf.Tensor2D, state);
        state = result.state;
        return result.output;
      });
      assertAllClose(tf.stack(steps, 1).dataSync(), mixer.apply(x).dataSync(), TOLERANCE);
      mixer.dispose();
    });
  });

  it('has as many parameters as its equations say', () => {
    const count = (name: MixerName, options: object): number => {
      const mixer = createMixer(name, { size: 12, heads: 3, random: new RandomStream(), ...options } as never);
      const result = mixer.parameterCount;
      mixer.dispose();
      return result;
    };
    const [d, h] = [12, 3];
    expect(count('linearAttention', {})).toBe(d * 3 * d + d * d);
    expect(count('performer', {})).toBe(d * 3 * d + d * d);
    expect(count('deltaNet', {})).toBe(d * (3 * d + h) + d * d);
    expect(count('deltaNet', { featureMap: 'dpfp', nu: 3 })).toBe(d * (3 * d + h) + d * d);
    expect(count('deltaNet', { headSize: 2, valueSize: 5, outputSize: 7 })).toBe(d * h * (2 + 2 + 5 + 1) + h * 5 * 7);
    expect(count('fastWeightMemory', {})).toBe(d * (3 * d + h) + d * d);
    expect(count('deltaNet2024', {})).toBe(d * 3 * d + 4 * 3 * d + d * h + 4 + d * d);
    expect(count('deltaNet2024', { convolution: 0 })).toBe(d * 3 * d + d * h + 4 + d * d);
    expect(count('gatedDeltaNet', {})).toBe(d * 3 * d + 4 * 3 * d + 2 * d * h + 2 * h + 4 + d * d + d * d);
    expect(count('gatedLinearAttention', {})).toBe(d * 2 * d + (d * 16 + (16 + 1) * (d / 2)) + 4 + 2 * d * d);
    expect(count('retention', {})).toBe(d * 4 * d + 8 + d * 2 * d + 2 * d * d);
  });

  it('FAVOR+ draws new directions for training passes over fresh sequences only', () => {
    tf.tidy(() => {
      const x = noise([1, 4, SIZE], 11);
      const values = (mixer: ReturnType<typeof makeMixer>) => Array.from(mixer.apply(x).dataSync());
      const mixer = makeMixer('performer', new RandomStream(1));
      expect(values(mixer)).not.toEqual(values(mixer));
      const { state } = mixer.forward(x);
      const going = () => Array.from(mixer.forward(x, state).output.dataSync());
      expect(going()).toEqual(going());
      mixer.eval();
      expect(values(mixer)).toEqual(values(mixer));
      const fixed = createMixer('performer', { size: SIZE, heads: 2, redraw: 'never', random: new RandomStream(1) });
      expect(values(fixed)).toEqual(values(fixed));
      mixer.dispose();
      fixed.dispose();
    });
  });

  it('says what is wrong', () => {
    const random = new RandomStream();
    const before = tf.memory().numTensors;
    const make = (name: MixerName, options: object) => () =>
      createMixer(name, { size: 8, heads: 2, random, ...options } as never);
    expect(make('deltanet' as MixerName, {})).toThrow(
      `there is no mixer 'deltanet'. Choose one of: ${MIXERS.join(', ')}.`,
    );
    expect(make('toString' as MixerName, {})).toThrow('there is no mixer');
    expect(make('deltaNet', { heads: 3 })).toThrow('keys of 8 elements cannot be divided among 3 heads; give headSize');
    expect(make('deltaNet', { featureMap: 'cosine' })).toThrow("featureMap must be 'identity' or 'eluPlusOne'");
    for (const featureMap of ['identity', 'tanh']) {
      const message = `featureMap must have no negative features where they are divided by their sum, which may be 0, but is '${featureMap}'`;
      expect(make('deltaNet', { featureMap })).toThrow(message);
      expect(make('linearAttention', { featureMap, normalizer: 'sum' })).toThrow(message);
      make('fastWeightMemory', { featureMap })().dispose();
    }
    expect(make('deltaNet', { nu: 0 })).toThrow('nu must be a whole number of at least 1');
    expect(make('deltaNet', { nu: 8 })).toThrow('nu must be below 2 · size = 8');
    expect(make('performer', { redraw: 'always' })).toThrow("redraw must be 'training' or 'never'");
    expect(make('linearAttention', { normalizer: 'max' })).toThrow("normalizer must be 'attention' or 'sum' or 'none'");
    expect(make('retention', { headSize: 3 })).toThrow('even headSize, but it is 3');
    expect(make('deltaNet2024', { convolution: -1 })).toThrow('DeltaNet2024: convolution');
    expect(make('gatedDeltaNet', { weightInitializer: () => tf.tensor1d([1], 'int32') })).toThrow('must be float32');
    expect(tf.memory().numTensors).toBe(before);
    tf.tidy(() => {
      const mixer = createMixer('deltaNet', { size: 8, heads: 2, random });
      expect(() => mixer.apply(tf.zeros([2, 3, 5]))).toThrow('DeltaNet: x must have shape [batch, length, 8]');
      expect(() => mixer.apply(tf.zeros([2, 3, 8]), { paddingMask: tf.ones([2, 4], 'bool') })).toThrow(
        'DeltaNet: paddingMask must have shape [batch = 2, length = 3]',
      );
      expect(() => mixer.step(tf.zeros([2, 8]), mixer.initialState(3))).toThrow(
        'DeltaNet: state.fastWeights must have shape [2, 2, 4, 8], but has shape [3, 2, 4, 8]',
      );
      expect(() => mixer.initialState(-1)).toThrow('DeltaNet: batch');
      mixer.dispose();
    });
  });
});
