import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ATTENTION_POSITIONS,
  type AttentionPositions,
  type AttentionState,
  applyRotaryPositions,
  CrossAttention,
  dispose,
  init,
  MultiHeadAttention,
  RandomStream,
  randomNormal,
  randomUniform,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { multiHeadReference } from '../reference/multi-head-attention.ts';
import { expectWithin } from './comparison.ts';

interface Sizes {
  batch: number;
  length: number;
  size: number;
  heads: number;
  headSize: number;
  outputSize: number;
}

const sizesArbitrary = fc.record<Sizes>({
  batch: fc.integer({ min: 1, max: 3 }),
  length: fc.integer({ min: 1, max: 9 }),
  size: fc.integer({ min: 1, max: 9 }),
  heads: fc.integer({ min: 1, max: 3 }),
  headSize: fc.constantFrom(2, 4, 6),
  outputSize: fc.integer({ min: 1, max: 9 }),
});

/** A layer whose every parameter, biases and position biases included, is random. */
function makeAttention(
  sizes: Omit<Sizes, 'batch' | 'length'>,
  options: { causal: boolean; window?: number; positions: AttentionPositions },
  random: RandomStream,
): MultiHeadAttention {
  const attention = new MultiHeadAttention({ ...sizes, ...options, maxDistance: 3, random });
  for (const variable of attention.parameters()) {
    tf.tidy(() => variable.assign(randomUniform(random, variable.shape, { low: -1, high: 1 })));
  }
  return attention;
}

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  describe.each(ATTENTION_POSITIONS)('self-attention with positions: %s', (positions) => {
    it('equals the float64 reference for all sizes, causal or not, padded or not', () => {
      const before = tf.memory().numTensors;
      fc.assert(
        fc.property(sizesArbitrary, fc.boolean(), fc.boolean(), fc.nat(), (sizes, causal, padded, seed) => {
          const { batch, length, size } = sizes;
          const random = new RandomStream(seed);
          const attention = makeAttention(sizes, { causal, positions }, random);
          tf.tidy(() => {
            const x = randomNormal(random, [batch, length, size]) as tf.Tensor3D;
            // Sequence b has lost its last b elements, but never all.
            const present = (b: number, t: number): boolean => !padded || t < Math.max(1, length - b);
            const mask = tf.tensor2d(
              Array.from({ length: batch * length }, (_, i) => Number(present(Math.floor(i / length), i % length))),
              [batch, length],
              'bool',
            );
            const weights = Object.fromEntries(
              Object.entries(attention.stateDict()).map(([name, tensor]) => [name, tensor.dataSync()]),
            );
            const expected = multiHeadReference(x.dataSync(), weights, {
              ...sizes,
              causal,
              positions,
              maxDistance: 3,
              present,
            });
            const output = attention.apply(x, padded ? { paddingMask: mask } : {});
            expect(output.shape).toEqual([batch, length, sizes.outputSize]);
            expectWithin(output.dataSync(), expected, 1e-5);
          });
          attention.dispose();
        }),
        { numRuns: 25 },
      );
      expect(tf.memory().numTensors).toBe(before);
    });

    it('step by step, in pieces and at once give the same', () => {
      const before = tf.memory().numTensors;
      fc.assert(
        fc.property(sizesArbitrary, fc.nat(), fc.nat(9), (sizes, seed, cutAt) => {
          const { batch, length, size } = sizes;
          const random = new RandomStream(seed);
          const attention = makeAttention(sizes, { causal: true, positions }, random);
          tf.tidy(() => {
            const x = randomNormal(random, [batch, length, size]) as tf.Tensor3D;
            const whole = attention.apply(x);
            const cut = Math.min(cutAt, length);
            const first = attention.forward(tf.slice(x, [0, 0, 0], [batch, cut, size]));
            const second = attention.forward(tf.slice(x, [0, cut, 0], [batch, length - cut, size]), first.state);
            expectWithin(tf.concat([first.output, second.output], 1).dataSync(), whole.dataSync(), 1e-5);
            let state: AttentionState = attention.initialState(batch);
            const outputs = tf.unstack(x, 1).map((element) => {
              const result = attention.step(element as tf.Tensor2D, state);
              state = result.state;
              return result.output;
            });
            expectWithin(tf.stack(outputs, 1).dataSync(), whole.dataSync(), 1e-5);
            expectWithin(state.keys.dataSync(), second.state.keys.dataSync(), 1e-5);
          });
          attention.dispose();
        }),
        { numRuns: 15 },
      );
      expect(tf.memory().numTensors).toBe(before);
    });

    it('with a window sees the last elements only, from a state of that size', () => {
      const before = tf.memory().numTensors;
      const sizes = { size: 6, heads: 2, headSize: 4, outputSize: 6 };
      const [length, window] = [11, 3];
      const windowed = makeAttention(sizes, { causal: true, window, positions }, new RandomStream(3));
      const whole = makeAttention(sizes, { causal: true, positions }, new RandomStream(3));
      tf.tidy(() => {
        const x = randomNormal(new RandomStream(4), [2, length, 6]) as tf.Tensor3D;
        const paddingMask = tf.tensor2d([...new Array(21).fill(1), 0], [2, length], 'bool');
        const isSeen = (i: number, j: number) => Number(j <= i && j > i - window);
        const seen = Array.from({ length: length ** 2 }, (_, at) => isSeen(Math.floor(at / length), at % length));
        const mask = tf.tensor2d(seen, [length, length], 'bool');
        const expected = whole.apply(x, { mask, paddingMask }).dataSync();
        expectWithin(windowed.apply(x, { paddingMask }).dataSync(), expected, 1e-5);
        for (const pieces of [[11], [1, 7, 3], new Array<number>(11).fill(1)]) {
          let state = windowed.initialState(2);
          let start = 0;
          const outputs = pieces.map((count) => {
            const result = windowed.forward(tf.slice(x, [0, start, 0], [2, count, 6]), state, {
              paddingMask: tf.slice(paddingMask, [0, start], [2, count]),
            });
            start += count;
            state = result.state;
            return result.output;
          });
          expectWithin(tf.concat(outputs, 1).dataSync(), expected, 1e-5);
          expect(state.keys.shape).toEqual([2, window - 1, 2, 4]);
          expect(state.position).toBe(length);
        }
      });
      windowed.dispose();
      whole.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it('later elements have no influence on earlier outputs of a causal layer, NaN included', () => {
      const random = new RandomStream(1);
      const sizes = { size: 6, heads: 2, headSize: 4, outputSize: 6 };
      const attention = makeAttention(sizes, { causal: true, positions }, random);
      tf.tidy(() => {
        const x = randomNormal(random, [2, 7, 6]) as tf.Tensor3D;
        const changed = tf.concat(
          [tf.slice(x, [0, 0, 0], [2, 4, 6]), tf.fill([2, 3, 6], Number.NaN)],
          1,
        ) as tf.Tensor3D;
        const earlier = (y: tf.Tensor3D): tf.TypedArray => tf.slice(y, [0, 0, 0], [2, 4, 6]).dataSync();
        expectWithin(earlier(attention.apply(changed)), earlier(attention.apply(x)), 1e-6);
      });
      attention.dispose();
    });

    it('what padding holds has no influence', () => {
      const random = new RandomStream(2);
      const sizes = { size: 6, heads: 2, headSize: 4, outputSize: 6 };
      const attention = makeAttention(sizes, { causal: false, positions }, random);
      tf.tidy(() => {
        const x = randomNormal(random, [1, 5, 6]) as tf.Tensor3D;
        const junk = tf.concat([x, tf.fill([1, 3, 6], 1e6)], 1) as tf.Tensor3D;
        const paddingMask = tf.tensor2d([[1, 1, 1, 1, 1, 0, 0, 0]], [1, 8], 'bool');
        const padded = tf.slice(attention.apply(junk, { paddingMask }), [0, 0, 0], [1, 5, 6]);
        expectWithin(padded.dataSync(), attention.apply(x).dataSync(), 1e-5);
      });
      attention.dispose();
    });

    it('the state is its own: disposing of it leaves the mask', () => {
      const random = new RandomStream(2);
      const attention = makeAttention(
        { size: 6, heads: 2, headSize: 4, outputSize: 6 },
        { causal: true, positions },
        random,
      );
      const x = randomNormal(random, [1, 2, 6]) as tf.Tensor3D;
      const paddingMask = tf.tensor2d([[1, 0]], [1, 2], 'bool');
      const { output, state } = attention.forward(x, undefined, { paddingMask });
      tf.dispose({ output, state });
      expect(Array.from(paddingMask.dataSync())).toEqual([1, 0]);
      tf.dispose([x, paddingMask]);
      attention.dispose();
    });

    it('every parameter has a gradient that agrees with finite differences', () => {
      const random = new RandomStream(3);
      const sizes = { size: 5, heads: 2, headSize: 4, outputSize: 3 };
      const attention = makeAttention(sizes, { causal: false, positions }, random);
      tf.tidy(() => {
        const x = randomNormal(random, [2, 6, 5]) as tf.Tensor3D;
        const direction = randomNormal(random, [2, 6, 3]);
        const loss = (): tf.Scalar => tf.sum(tf.mul(attention.apply(x), direction));
        const { grads } = tf.variableGrads(loss, attention.parameters());
        const settings = {
          batch: 2,
          length: 6,
          ...sizes,
          causal: false,
          positions,
          maxDistance: 3,
          present: () => true,
        };
        const weights: Record<string, Float64Array> = {};
        for (const [name, variable] of attention.namedParameters())
          weights[name] = Float64Array.from(variable.dataSync());
        const values = direction.dataSync();
        const reference = (): number =>
          multiHeadReference(x.dataSync(), weights, settings).reduce((sum, y, i) => sum + y * values[i]!, 0);
        for (const [name, variable] of attention.namedParameters()) {
          const along = randomNormal(random, [variable.size]).dataSync();
          const step = 1e-5;
          const original = weights[name] as Float64Array;
          const at = (h: number): number => {
            weights[name] = original.map((w, i) => w + h * along[i]!);
            return reference();
          };
          const expected = (at(step) - at(-step)) / (2 * step);
          weights[name] = original;
          const gradient = (grads[variable.name] as tf.Tensor).dataSync() as Float32Array;
          const actual = gradient.reduce((sum, g, i) => sum + g * along[i]!, 0);
          expect(Math.abs(actual - expected), name).toBeLessThan(1e-4 * (1 + Math.abs(expected)));
        }
      });
      attention.dispose();
    });
  });

  it('padding in a state stays excluded', () => {
    const random = new RandomStream(4);
    const attention = makeAttention(
      { size: 4, heads: 1, headSize: 4, outputSize: 4 },
      { causal: true, positions: 'none' },
      random,
    );
    tf.tidy(() => {
      const x = randomNormal(random, [2, 6, 4]) as tf.Tensor3D;
      const paddingMask = tf.tensor2d(
        [
          [0, 1, 1, 1, 1, 1],
          [0, 0, 1, 1, 1, 1],
        ],
        [2, 6],
        'bool',
      );
      const whole = attention.apply(x, { paddingMask });
      const first = attention.forward(tf.slice(x, [0, 0, 0], [2, 3, 4]), undefined, {
        paddingMask: tf.slice(paddingMask, [0, 0], [2, 3]),
      });
      const second = attention.forward(tf.slice(x, [0, 3, 0], [2, 3, 4]), first.state);
      expectWithin(second.output.dataSync(), tf.slice(whole, [0, 3, 0], [2, 3, 4]).dataSync(), 1e-5);
    });
    attention.dispose();
  });

  it('a bool mask restricts what is seen', () => {
    const random = new RandomStream(5);
    const attention = makeAttention(
      { size: 4, heads: 2, headSize: 2, outputSize: 4 },
      { causal: false, positions: 'none' },
      random,
    );
    const causal = makeAttention(
      { size: 4, heads: 2, headSize: 2, outputSize: 4 },
      { causal: true, positions: 'none' },
      random,
    );
    tf.tidy(() => {
      causal.loadStateDict(attention.stateDict());
      const x = randomNormal(random, [2, 5, 4]) as tf.Tensor3D;
      const mask = tf.cast(tf.linalg.bandPart(tf.ones([5, 5]), -1, 0), 'bool');
      expectWithin(attention.apply(x, { mask }).dataSync(), causal.apply(x).dataSync(), 1e-5);
    });
    attention.dispose();
    causal.dispose();
  });

  it('rotary positions keep lengths, and make products depend on distances only', () => {
    tf.tidy(() => {
      const random = new RandomStream(7);
      const x = randomNormal(random, [1, 5, 2, 6]) as tf.Tensor4D;
      const squares = (y: tf.Tensor): tf.TypedArray => tf.sum(tf.square(y), 3).dataSync();
      expectWithin(squares(applyRotaryPositions(x)), squares(x), 1e-5);
      const products = (offset: number): tf.TypedArray => {
        const heads = tf.transpose(applyRotaryPositions(x, offset), [0, 2, 1, 3]);
        return tf.matMul(heads, heads, false, true).dataSync();
      };
      expectWithin(products(100), products(0), 1e-4);
      // Across the end of the table, and far behind it.
      for (const offset of [2 ** 15 - 3, 10 ** 6]) expectWithin(products(offset), products(0), 1e-4);
      expect(() => applyRotaryPositions(tf.zeros([1, 1, 1, 3]))).toThrow('must be even, but is 3');
    });
  });

  it('cross-attention over itself is self-attention', () => {
    const random = new RandomStream(6);
    const self = makeAttention(
      { size: 6, heads: 2, headSize: 3, outputSize: 5 },
      { causal: false, positions: 'none' },
      random,
    );
    const cross = new CrossAttention({ size: 6, heads: 2, headSize: 3, outputSize: 5, random });
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const { 'queryKeyValue.weight': weight, 'queryKeyValue.bias': bias, ...output } = self.stateDict();
      const [qW, kvW] = tf.split(weight as tf.Tensor, [6, 12], 1);
      const [qB, kvB] = tf.split(bias as tf.Tensor, [6, 12], 0);
      cross.loadStateDict({
        ...output,
        'query.weight': qW!,
        'query.bias': qB!,
        'keyValue.weight': kvW!,
        'keyValue.bias': kvB!,
      });
      const x = randomNormal(random, [2, 5, 6]) as tf.Tensor3D;
      const paddingMask = tf.tensor2d(
        [
          [1, 1, 1, 0, 0],
          [1, 1, 1, 1, 1],
        ],
        [2, 5],
        'bool',
      );
      const expected = self.apply(x, { paddingMask });
      expectWithin(cross.forward(x, x, paddingMask).dataSync(), expected.dataSync(), 1e-5);
      const state = cross.prepare(x, paddingMask);
      const steps = tf.unstack(x, 1).map((element) => cross.step(element as tf.Tensor2D, state));
      expectWithin(tf.stack(steps, 1).dataSync(), expected.dataSync(), 1e-5);
    });
    expect(tf.memory().numTensors).toBe(before);
    self.dispose();
    cross.dispose();
  });

  it('says what is wrong with options, inputs and states, and keeps nothing', () => {
    const random = new RandomStream();
    const before = tf.memory().numTensors;
    const make = (more: object): MultiHeadAttention => new MultiHeadAttention({ size: 6, heads: 2, random, ...more });
    expect(() => make({ heads: 4 })).toThrow('size 6 cannot be divided among 4 heads; give headSize');
    expect(() => make({ positions: 'rotary' })).toThrow('rotary positions need an even headSize, but it is 3');
    expect(() => make({ positions: 'absolute' })).toThrow("positions must be 'none' or 'rotary'");
    expect(() => make({ weightInitializer: () => tf.tensor1d([1], 'int32') })).toThrow("'weight' must be float32");
    expect(tf.memory().numTensors).toBe(before);
    const attention = make({ causal: false });
    tf.tidy(() => {
      const x = tf.zeros([2, 3, 6]) as tf.Tensor3D;
      expect(() => attention.apply(tf.zeros([2, 3, 5]))).toThrow(
        'MultiHeadAttention: x must have shape [batch, length, 6]',
      );
      expect(() => attention.apply(x, { paddingMask: tf.ones([2, 4], 'bool') })).toThrow(
        "('length') is 4 instead of 3",
      );
      expect(() => attention.step(tf.zeros([2, 6]), attention.initialState(2))).toThrow('needs causal: true');
      const causal = make({});
      expect(() => causal.step(tf.zeros([2, 6]), causal.initialState(3))).toThrow("('batch') is 3 instead of 2");
      causal.dispose();
      expect(() => causal.apply(x)).toThrow('was disposed');
    });
    attention.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
