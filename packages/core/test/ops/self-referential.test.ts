import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  deltaRule,
  dispose,
  init,
  type SelfReferentialResult,
  selfReferential,
  selfReferentialRead,
  selfReferentialStep,
} from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import {
  type SelfReferentialSizes,
  type SelfReferentialValues,
  selfReferentialReference,
} from '../reference/self-referential.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise } from './against-reference.ts';
import {
  expectRelativeErrors,
  valuesAndGradients as resultsAndGradients,
  type Tensors,
  tensorsOf,
} from './scan-cases.ts';
import { apply, noiseInputs, resetsOf } from './self-referential-cases.ts';

const engineDevices = await availableDevices();
const devices = [...engineDevices, ...composedDevices];

const casesArbitrary = fc.record({
  sizes: fc.record<SelfReferentialSizes>({
    batch: fc.constantFrom(1, 2, 3),
    heads: fc.constantFrom(1, 2),
    time: fc.constantFrom(1, 2, 5, 12),
    dim: fc.constantFrom(1, 3, 4, 7, 16, 17),
    outputDim: fc.constantFrom(1, 4, 9, 35),
  }),
  state: fc.boolean(),
  resets: fc.boolean(),
});

/** Results, and gradients of all inputs for a fixed loss on both results. */
const valuesAndGradients = (inputs: Inputs, run: (tensors: Tensors) => SelfReferentialResult): Float32Array[] =>
  resultsAndGradients(inputs, (tensors) => {
    const { output, finalState } = run(tensors);
    return [output, finalState];
  });

/** The steps `from` to `to` of x. */
const steps = (x: tf.Tensor, from: number, to: number): tf.Tensor =>
  tf.slice(x, [0, 0, from], [x.shape[0]!, x.shape[1]!, to - from]);

/** Results on pieces of x, the state carried over. */
function inPieces({ x, weights, initialState }: Tensors, cuts: readonly number[]): SelfReferentialResult {
  let state = initialState;
  const outputs: tf.Tensor[] = [];
  for (const [index, to] of cuts.slice(1).entries()) {
    const { output, finalState } = selfReferential(steps(x!, cuts[index]!, to), weights!, { initialState: state });
    outputs.push(output);
    state = finalState;
  }
  return { output: tf.concat(outputs, 2) as tf.Tensor4D, finalState: state as tf.Tensor4D };
}

describe.each(devices)('self-referential weight matrix on $name', ({ name, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  const slow = isComposed(name);

  it('follows its equations, with exact gradients of everything, with state and resets', () => {
    fc.assert(
      fc.property(casesArbitrary, ({ sizes, state, resets }) => {
        const reset = resets ? resetsOf(sizes) : undefined;
        expectMatchesReference({
          inputs: noiseInputs(sizes, state),
          operation: (tensors) => {
            const resetMask = reset && tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool');
            const { output, finalState } = apply(tensors, { resetMask });
            return [output, finalState];
          },
          reference: (values) => {
            const all = values as unknown as SelfReferentialValues;
            return selfReferentialReference(reset === undefined ? all : { ...all, reset }, sizes);
          },
          tolerance: 1e-5,
        });
      }),
      { numRuns: slow ? 8 : 25 },
    );
  });

  it.each([
    [4, 4],
    [33, 33],
    [64, 64],
    [16, 49],
    [128, 128],
  ])('keeps its precision with inputs of %i and outputs of %i', (dim, outputDim) => {
    const sizes = { batch: 1, heads: 1, time: 9, dim, outputDim };
    const inputs = noiseInputs(sizes);
    const expected = selfReferentialReference(valuesOf(inputs), sizes);
    expectRelativeErrors(valuesAndGradients(inputs, apply).slice(0, 2), expected, 3e-6);
  });

  it('follows them where exponentials would overflow', () => {
    const sizes = { batch: 1, heads: 2, time: 5, dim: 5, outputDim: 5 };
    const inputs = noiseInputs(sizes, false);
    inputs['weights']!.values.set(inputs['weights']!.values.map((w) => 200 * w));
    const expected = selfReferentialReference(valuesOf(inputs), sizes);
    expectRelativeErrors(valuesAndGradients(inputs, apply).slice(0, 2), expected, 1e-5);
  });

  // Numeric check 5 of the paper's card.
  it('gives the same in pieces, the state carried over, gradients included', () => {
    const sizes = { batch: 2, heads: 2, time: 12, dim: 5, outputDim: 6 };
    for (const withState of [false, true]) {
      const inputs = noiseInputs(sizes, withState);
      const whole = valuesAndGradients(inputs, apply);
      const split = valuesAndGradients(inputs, (tensors) => inPieces(tensors, [0, 1, 7, 12]));
      expectRelativeErrors(split, whole, 1e-5);
    }
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 2, heads: 3, time: 7, dim: 6, outputDim: 4 }));
      const { output, finalState } = apply(tensors);
      let state = tensors['initialState']!;
      const outputs: tf.Tensor[] = [];
      for (let t = 0; t < 7; t++) {
        const step = selfReferentialStep(tf.gather(tensors['x']!, t, 2), tensors['weights']!, state);
        outputs.push(step.output);
        state = step.state;
      }
      expectWithin(tf.stack(outputs, 2).dataSync(), output.dataSync(), 1e-5, 'output');
      expectWithin(state.dataSync(), finalState.dataSync(), 1e-5, 'state');
    });
  });

  it('reads without writing what a step reads', () => {
    tf.tidy(() => {
      const { x, weights, initialState } = tensorsOf(
        noiseInputs({ batch: 2, heads: 3, time: 4, dim: 6, outputDim: 5 }),
      ) as Record<'x' | 'weights' | 'initialState', tf.Tensor>;
      for (const state of [undefined, initialState]) {
        const read = selfReferentialRead(x, weights, state);
        for (let t = 0; t < 4; t++) {
          const { output } = selfReferential(steps(x, t, t + 1), weights, { initialState: state });
          expectWithin(steps(read, t, t + 1).dataSync(), output.dataSync(), 1e-6, `query ${t}`);
        }
      }
    });
  });

  it('treats what a reset mask separates as sequences of their own', () => {
    const sizes = { batch: 1, heads: 2, time: 14, dim: 6, outputDim: 5 };
    const starts = [0, 1, 5, 14];
    const inputs = noiseInputs(sizes, false);
    const resetMask = tf.tensor2d(
      Array.from({ length: 14 }, (_, t) => (starts.includes(t) ? 1 : 0)),
      [1, 14],
      'bool',
    );
    const masked = valuesAndGradients(inputs, (tensors) => apply(tensors, { resetMask }));
    const separate = valuesAndGradients(inputs, ({ x, weights }) => {
      const parts = starts.slice(1).map((end, i) => selfReferential(steps(x!, starts[i]!, end), weights!));
      return {
        output: tf.concat(
          parts.map((part) => part.output),
          2,
        ) as tf.Tensor4D,
        finalState: parts.at(-1)!.finalState,
      };
    });
    expectRelativeErrors(masked, separate, 1e-5);
  });

  // Numeric check 1 of the paper's card.
  it('is a static layer where query and key agree, and silent where W is zero', () => {
    tf.tidy(() => {
      const [x, output, query, rates] = [
        tf.tensor(noise(40, 1), [1, 2, 5, 4]),
        tf.tensor(noise(24, 2), [2, 4, 3]),
        tf.tensor(noise(32, 3), [2, 4, 4]),
        tf.tensor(noise(32, 4), [2, 4, 4]),
      ];
      const weights = tf.concat([output, query, query, rates], 2);
      const result = selfReferential(x, weights);
      expectWithin(result.output.dataSync(), tf.matMul(x, tf.expandDims(output, 0)).dataSync(), 1e-6, 'x W');
      expect(result.finalState.dataSync()).toEqual(new Float32Array(result.finalState.size));
      expect(selfReferential(x, tf.zerosLike(weights)).output.dataSync()).toEqual(new Float32Array(30));
    });
  });

  // Numeric check 2.
  it('leaves a matrix of identical rows as it is', () => {
    tf.tidy(() => {
      const row = tf.tensor(noise(16, 1), [1, 1, 16]);
      const { finalState } = selfReferential(tf.tensor(noise(24, 2), [1, 1, 6, 4]), tf.tile(row, [1, 4, 1]));
      expectWithin(finalState.dataSync(), new Float32Array(64), 1e-6, 'identical rows stay');
    });
  });

  // Numeric checks 2 and 3: W_t = A_t W_{t-1} with A = I + β kᵀ (q − k), whose determinant 1 + β (q − k)·k is in (0, 2).
  it('multiplies each block by a matrix that can be inverted', () => {
    const [dim, columns] = [3, 13];
    const { x, weights } = noiseInputs(
      { batch: 1, heads: 1, time: 5, dim, outputDim: dim },
      false,
    ) as unknown as Record<'x' | 'weights', { values: Float32Array }>;
    // The output's block begins as the identity, and so ends as the product of all A.
    for (let i = 0; i < dim; i++) for (let j = 0; j < dim; j++) weights.values[i * columns + j] = i === j ? 1 : 0;
    let product = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    tf.tidy(() => {
      const initial = tf.tensor(weights.values, [1, dim, columns]);
      let state = tf.zeros([1, 1, dim, columns]);
      for (let t = 0; t < 5; t++) {
        const input = [...x.values.subarray(t * dim, (t + 1) * dim)];
        const W = tf.add(state, initial).dataSync();
        const y = Array.from({ length: columns }, (_, c) =>
          input.reduce((sum, value, i) => sum + value * W[i * columns + c]!, 0),
        );
        const softmax = (values: number[]) => {
          const sum = values.reduce((total, value) => total + Math.exp(value), 0);
          return values.map((value) => Math.exp(value) / sum);
        };
        const [q, k] = [softmax(y.slice(3, 6)), softmax(y.slice(6, 9))];
        const beta = 1 / (1 + Math.exp(-y[9]!));
        const change = q.map((value, i) => value - k[i]!);
        const determinant = 1 + beta * change.reduce((sum, value, i) => sum + value * k[i]!, 0);
        expect(determinant).toBeGreaterThan(0);
        expect(determinant).toBeLessThan(2);
        product = product.map((_, at) => {
          const [row, column] = [Math.floor(at / dim), at % dim];
          const read = change.reduce((sum, value, i) => sum + value * product[i * dim + column]!, 0);
          return product[at]! + beta * k[row]! * read;
        });
        state = selfReferentialStep(tf.tensor([[input]]), initial, state).state;
        const after = tf.add(state, initial).dataSync();
        const undone = Array.from({ length: dim * dim }, (_, at) => {
          const [row, column] = [Math.floor(at / dim), at % dim];
          const read = change.reduce((sum, value, i) => sum + value * after[i * columns + column]!, 0);
          return after[row * columns + column]! - (beta * k[row]! * read) / determinant;
        });
        expectWithin(
          undone,
          Array.from(undone, (_, at) => W[Math.floor(at / dim) * columns + (at % dim)]!),
          1e-5,
          'undone',
        );
        const block = Array.from({ length: dim * dim }, (_, at) => after[Math.floor(at / dim) * columns + (at % dim)]!);
        expectWithin(block, product, 1e-5, 'product');
      }
    });
  });

  // Numeric check 3: a rank of 1 stays 1, so that all 2 × 2 minors of W stay zero.
  it('never raises the rank of a block', () => {
    tf.tidy(() => {
      const [rows, others] = [tf.tensor(noise(4, 1), [4, 1]), tf.tensor(noise(48, 3), [4, 12])];
      const output = tf.matMul(rows, tf.tensor(noise(4, 2), [1, 4]));
      const weights = tf.expandDims(tf.concat([output, others], 1), 0);
      const { finalState } = selfReferential(tf.tensor(noise(24, 4), [1, 1, 6, 4]), weights);
      const W = tf.slice(tf.add(tf.squeeze(finalState), tf.squeeze(weights)), [0, 0], [4, 4]).arraySync() as number[][];
      expect(tf.max(tf.abs(finalState)).dataSync()[0]).toBeGreaterThan(0.05);
      for (let i = 1; i < 4; i++) {
        for (let j = 1; j < 4; j++) expect(Math.abs(W[0]![0]! * W[i]![j]! - W[0]![j]! * W[i]![0]!)).toBeLessThan(1e-6);
      }
    });
  });

  // Numeric check 4 of the card on formal languages.
  it('that rewrites only what it puts out is a delta rule whose values are its own answers to its queries', () => {
    tf.tidy(() => {
      const [dim, time] = [4, 7];
      // The last element of x is always 1, so that the last row of the rates' columns sets them: (σ(0.5), 0, 0, 0).
      const x = tf.concat([tf.tensor(noise(21, 1), [1, 1, time, 3]), tf.ones([1, 1, time, 1])], 3);
      const [output, query, key] = [2, 3, 4].map((seed) => tf.tensor(noise(16, seed), [dim, dim])) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      const rates = tf.concat([tf.zeros([3, 4]), tf.tensor2d([[0.5, -200, -200, -200]])]);
      const weights = tf.expandDims(tf.concat([output, query, key, rates], 1), 0);
      const result = selfReferential(x, weights);
      const inputs = tf.reshape(x, [time, dim]) as tf.Tensor2D;
      const [queries, keys] = [query, key].map((W) => tf.softmax(tf.matMul(inputs, W))) as [tf.Tensor, tf.Tensor];
      let state = tf.reshape(tf.transpose(output), [1, 1, dim, dim]);
      const outputs = Array.from({ length: time }, (_, t) => {
        const at = (rows: tf.Tensor) => tf.reshape(tf.slice(rows, [t, 0], [1, dim]), [1, 1, 1, dim]);
        const read = (rows: tf.Tensor) => tf.matMul(at(rows), state, false, true);
        const said = read(inputs);
        const beta = tf.fill([1, 1, 1], 1 / (1 + Math.exp(-0.5)));
        state = deltaRule(at(queries), at(keys), read(queries), beta, { initialState: state })
          .finalState as tf.Tensor4D;
        return said;
      });
      expectWithin(result.output.dataSync(), tf.concat(outputs, 2).dataSync(), 1e-6, 'outputs');
      const final = tf.add(result.finalState, weights);
      const block = tf.transpose(tf.slice(final, [0, 0, 0, 0], [1, 1, dim, dim]), [0, 1, 3, 2]);
      expectWithin(block.dataSync(), state.dataSync(), 1e-6, 'W of the outputs');
      expect(tf.max(tf.abs(tf.slice(result.finalState, [0, 0, 0, dim], [1, 1, dim, 2 * dim + 4]))).dataSync()[0]).toBe(
        0,
      );
      expect(tf.max(tf.abs(result.finalState)).dataSync()[0]).toBeGreaterThan(0.05);
    });
  });

  // Numeric check 4.
  it('gives the numbers of a worked example', () => {
    tf.tidy(() => {
      const { output, finalState } = selfReferential(GOLDEN.x(), GOLDEN.weights());
      expectWithin(output.dataSync(), [1, 0, 0.4175518862, 1.1648962276, 1.5325292288, 0.9349415423], 1e-6, 'o');
      const final = tf.add(finalState, GOLDEN.weights());
      const block = (from: number) => tf.slice(final, [0, 0, 0, from], [1, 1, 2, 2]).dataSync();
      expectWithin(block(0), [1.108354483, -0.216708966, 0.797228499, 0.405543003], 1e-6, 'final W^o');
      expectWithin(block(4), [-1.097858206, 1.078286565, -0.383964709, 0.507171767], 1e-6, 'final W^k');
      const loss = (x: tf.Tensor, weights: tf.Tensor) =>
        tf.mul(0.5, tf.sum(tf.square(selfReferential(x, weights).output))) as tf.Scalar;
      expect(loss(GOLDEN.x(), GOLDEN.weights()).dataSync()[0]).toBeCloseTo(2.8770471618, 5);
      const [dx, dWeights] = tf.grads(loss as (...x: tf.Tensor[]) => tf.Scalar)([GOLDEN.x(), GOLDEN.weights()]);
      const expectedRows = [
        [3.5229954149, 1.9192298579, -0.1464459011, 0.1464459011, 0.2413524767, -0.2413524767],
        [0.959614929, 1.1155494544, -0.0195268038, 0.0195268038, 0.0220073649, -0.0220073649],
      ];
      const rates = [-0.3618683809, -0.0123183786, -0.0104533186, -0.0005710205];
      const rows = tf.squeeze(dWeights!, [0]).arraySync() as number[][];
      expectWithin(rows[0]!, [...expectedRows[0]!, ...rates], 2e-6, 'dW row 0');
      expectWithin(rows[1]!.slice(0, 6), expectedRows[1]!, 2e-6, 'dW row 1');
      const expected = [0.0848849375, 0.1190325318, 0.1815628778, 1.5098377973, 1.5051671594, 1.7175943654];
      expectWithin(dx!.dataSync(), expected, 2e-6, 'dx');
    });
  });

  // Numeric checks 5 and 6.
  it('has gradients of softmax weights that add up to 0, and none of what the last step would write', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, heads: 1, time: 5, dim: 4, outputDim: 3 };
      const inputs = noiseInputs(sizes, false);
      const { x, weights } = tensorsOf(inputs) as { x: tf.Tensor; weights: tf.Tensor };
      const gradient = (sequence: tf.Tensor) =>
        tf.grad((w: tf.Tensor) => tf.sum(tf.square(selfReferential(sequence, w).output)) as tf.Scalar)(weights);
      const dWeights = gradient(x).dataSync();
      for (let row = 0; row < 4; row++) {
        for (const from of [3, 7]) {
          const sum = [...dWeights.subarray(row * 15 + from, row * 15 + from + 4)].reduce((a, b) => a + b, 0);
          expect(Math.abs(sum)).toBeLessThan(2e-5);
        }
      }
      const written = tf.slice(gradient(steps(x, 0, 1)), [0, 0, 3], [1, 4, 12]);
      expect(written.dataSync()).toEqual(new Float32Array(48));
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 1, heads: 1, time: 3, dim: 2, outputDim: 2 }));
      const energy = (weights: tf.Tensor) =>
        tf.sum(
          tf.square(tf.grad((w: tf.Tensor) => tf.sum(apply({ ...tensors, weights: w }).output))(weights)),
        ) as tf.Scalar;
      const weights = tensors['weights']!;
      const direction = tf.tensor(noise(weights.size, 5), weights.shape);
      const expected = tf.sum(tf.mul(tf.grad(energy)(weights), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map(
        (sign) => energy(tf.add(weights, tf.mul(direction, sign * 0.01))).dataSync()[0]!,
      );
      expect((above! - below!) / 0.02 / expected).toBeCloseTo(1, 2);
    });
  });

  it('accepts empty batches and sequences', () => {
    tf.tidy(() => {
      const empty = noiseInputs({ batch: 2, heads: 1, time: 0, dim: 3, outputDim: 2 });
      const { output, finalState } = apply(tensorsOf(empty));
      expect(output.shape).toEqual([2, 1, 0, 2]);
      expect(finalState.dataSync()).toEqual(empty['initialState']!.values);
      expect(apply(tensorsOf(noiseInputs({ batch: 0, heads: 2, time: 3, dim: 3, outputDim: 2 }))).output.size).toBe(0);
      // tfjs finds no gradient where an operation composed of others does nothing.
      if (slow) return;
      const gradients = valuesAndGradients(empty, apply);
      expect(gradients[3]).toEqual(new Float32Array(36));
      expect(gradients[4]).toEqual(noise(72, 21));
    });
  });
});

/** The card's example: one head of two inputs and outputs. */
const GOLDEN = {
  x: () => tf.tensor([1, 0, 0, 1, 1, 1], [1, 1, 3, 2]),
  weights: () => tf.tensor([1, 0, 1, -1, -1, 1, 0.5, 0, -0.5, 1, 0, 2, 0, 0.5, 0.25, 0, 0, 0.25, 0.5, -1], [1, 2, 10]),
};

function valuesOf(inputs: Inputs): SelfReferentialValues {
  const values = Object.entries(inputs).map(([name, input]) => [name, Float64Array.from(input.values)]);
  return Object.fromEntries(values) as SelfReferentialValues;
}

describe('self-referential weight matrix', () => {
  afterAll(dispose);

  it('does not drift over long sequences, whatever resets and segments do', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 2, heads: 1, time: 600, dim: 8, outputDim: 8 };
      const inputs = noiseInputs(sizes, true);
      inputs['weights']!.values.set(inputs['weights']!.values.map((w) => w / 3));
      const reset = new Uint8Array(1200);
      for (const t of [256, 300, 301, 600 + 127, 600 + 128, 600 + 599]) reset[t] = 1;
      const resetMask = tf.tensor2d(reset, [2, 600], 'bool');
      expectRelativeErrors(
        valuesAndGradients(inputs, (tensors) => apply(tensors, { resetMask })).slice(0, 2),
        selfReferentialReference({ ...valuesOf(inputs), reset }, sizes),
        1e-4,
      );
      // The gradients, against those of pieces, whose states all are kept.
      const whole = valuesAndGradients(inputs, apply);
      const cuts = Array.from({ length: 61 }, (_, i) => i * 10);
      expectRelativeErrors(
        valuesAndGradients(inputs, (tensors) => inPieces(tensors, cuts)),
        whole,
        1e-4,
      );
    }
  });

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of engineDevices) {
      for (const sizes of [
        { batch: 9, heads: 3, time: 140, dim: 12, outputDim: 20 },
        { batch: 2, heads: 2, time: 20, dim: 64, outputDim: 64 },
      ]) {
        await expectSameBitsForAllThreads(options, () => {
          const resetMask = tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool');
          return [{}, { resetMask }].flatMap((given) => valuesAndGradients(noiseInputs(sizes), (x) => apply(x, given)));
        });
      }
    }
  });

  it('forgets everything at a reset, NaN included, and leaves nothing behind', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 1, heads: 1, time: 4, dim: 3, outputDim: 3 };
      const run = (): number[] =>
        tf.tidy(() => {
          const inputs = noiseInputs(sizes);
          inputs['initialState']!.values.fill(Number.NaN);
          const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
          return [...valuesAndGradients(inputs, (tensors) => apply(tensors, { resetMask }))[0]!];
        });
      const values = run();
      expect(values.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(values.slice(6).every(Number.isFinite)).toBe(true);
      expectNothingLeft(run);
    }
  });

  it('composes what is too large for the kernel', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 1, heads: 1, time: 2, dim: 260, outputDim: 3 };
      const inputs = noiseInputs(sizes);
      const expected = selfReferentialReference(valuesOf(inputs), sizes);
      expectRelativeErrors(valuesAndGradients(inputs, apply).slice(0, 2), expected, 3e-6);
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const [x, weights] = [tf.zeros([1, 2, 5, 3]), tf.zeros([2, 3, 13])];
      expect(() => selfReferential(x, tf.zeros([2, 4, 13]))).toThrow(/selfReferential: weights .* 4 instead of 3/);
      expect(() => selfReferential(x, tf.zeros([2, 3, 10]))).toThrow(/at least 11 for dim = 3, but have 10/);
      expect(() => selfReferential(tf.zeros([1, 2, 3]), weights)).toThrow(/selfReferential: x .* 3 dimensions/);
      expect(() => selfReferential(x, weights, { initialState: tf.zeros([1, 2, 3, 12]) })).toThrow(
        /initialState .* 12 instead of 13/,
      );
      expect(() => selfReferential(x, weights, { resetMask: tf.zeros([1, 4], 'bool') })).toThrow(
        /resetMask .* 4 instead of 5/,
      );
      expect(() => selfReferential(x, weights, { resetMask: tf.zeros([1, 5]) })).toThrow(/resetMask must be bool/);
      expect(() => selfReferentialStep(x, weights, weights)).toThrow(/selfReferentialStep: x/);
      expect(() => selfReferentialRead(x, weights, tf.zeros([1, 2, 4, 13]))).toThrow(/selfReferentialRead: state/);
    });
  });
});
