import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DeltaDeltaState,
  type DeltaMlpBlock,
  type DeltaMlpState,
  deltaDelta,
  deltaDeltaStep,
  deltaMlp,
  deltaMlpStep,
  deltaRule,
  dispose,
  eluPlusOne,
  init,
} from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { deltaRuleReference } from '../reference/delta-rule.ts';
import { expectMatchesReference, expectWithin, type Inputs, noiseInput } from './against-reference.ts';
import {
  expectRelativeErrors,
  keys,
  rates,
  resetsOf,
  steps,
  type Tensors,
  tensorsOf,
  valuesAndGradients,
} from './scan-cases.ts';

const devices = [...(await availableDevices()), ...composedDevices];

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly time: number;
  readonly dim: number;
  readonly hidden: number;
}

const sizesArbitrary = fc.record<Sizes>({
  batch: fc.constantFrom(1, 2),
  heads: fc.constantFrom(1, 2),
  time: fc.constantFrom(1, 3, 8),
  dim: fc.constantFrom(2, 3, 8),
  hidden: fc.constantFrom(1, 5, 12),
});

const EPSILON = 1e-6;
type Values = Record<string, Float64Array>;

/** (ELU(x) + 1) / (Σ (ELU(x) + 1) + ε) of rows of `size` elements. */
function features(x: Float64Array, size: number): Float64Array {
  const positive = x.map((value) => (value > 0 ? value + 1 : Math.exp(value)));
  return positive.map((value, i) => {
    const row = Math.floor(i / size) * size;
    return value / (positive.subarray(row, row + size).reduce((a, b) => a + b, 0) + EPSILON);
  });
}

function layerNormOf(x: Float64Array, size: number, gain: Float64Array, bias: Float64Array): Float64Array {
  const result = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += size) {
    const part = x.subarray(row, row + size);
    const mean = part.reduce((a, b) => a + b, 0) / size;
    const variance = part.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
    for (let i = 0; i < size; i++)
      result[row + i] = ((part[i]! - mean) / Math.sqrt(variance + 1e-5)) * gain[i]! + bias[i]!;
  }
  return result;
}

const resetMaskOf = (sizes: Sizes) => tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool');

// ---- Delta MLP -----------------------------------------------------------------------------------

const BLOCKS = [0, 1];

function mlpInputs({ batch, heads, time, dim, hidden }: Sizes): Inputs {
  const blocks = BLOCKS.map((b) => ({
    [`inwardK${b}`]: keys([batch, heads, time, dim], 10 * b + 1),
    [`inwardV${b}`]: noiseInput([batch, heads, time, hidden], 10 * b + 2),
    [`inwardBeta${b}`]: rates([batch, heads, time], 10 * b + 3),
    [`outwardK${b}`]: keys([batch, heads, time, hidden], 10 * b + 4),
    [`outwardV${b}`]: noiseInput([batch, heads, time, dim], 10 * b + 5),
    [`outwardBeta${b}`]: rates([batch, heads, time], 10 * b + 6),
    [`gain${b}`]: noiseInput([dim], 10 * b + 7),
    [`bias${b}`]: noiseInput([dim], 10 * b + 8),
    [`inward${b}`]: noiseInput([batch, heads, hidden, dim], 10 * b + 9),
    [`outward${b}`]: noiseInput([batch, heads, dim, hidden], 10 * b + 10),
  }));
  return Object.assign({ q: noiseInput([batch, heads, time, dim], 0) }, ...blocks);
}

const MLP_SEQUENCES = [
  'q',
  ...BLOCKS.flatMap((b) => ['K', 'V', 'Beta'].flatMap((part) => [`inward${part}${b}`, `outward${part}${b}`])),
];

function blocksOf(tensors: Tensors): DeltaMlpBlock[] {
  return BLOCKS.map((b) => {
    const writes = (side: string) => ({
      k: tensors[`${side}K${b}`]!,
      v: tensors[`${side}V${b}`]!,
      beta: tensors[`${side}Beta${b}`]!,
    });
    return {
      inward: writes('inward'),
      outward: writes('outward'),
      gain: tensors[`gain${b}`]!,
      bias: tensors[`bias${b}`]!,
    };
  });
}

const mlpStateOf = (tensors: Tensors): DeltaMlpState[] =>
  BLOCKS.map((b) => ({ inward: tensors[`inward${b}`]!, outward: tensors[`outward${b}`]! }));

function mlp(tensors: Tensors, resetMask?: tf.Tensor): tf.Tensor[] {
  const options = { initialState: mlpStateOf(tensors), resetMask };
  const { output, finalState } = deltaMlp(tensors['q']!, blocksOf(tensors), options);
  return [output, ...finalState.flatMap(({ inward, outward }) => [inward, outward])];
}

function mlpReference(values: Values, { dim, hidden, ...sizes }: Sizes, reset?: number[]): Float64Array[] {
  let h = values['q']!;
  const states: Float64Array[] = [];
  const resets = reset === undefined ? {} : { reset };
  for (const b of BLOCKS) {
    const read = (side: string, q: Float64Array, keyDim: number, valueDim: number) => {
      const writes = { k: values[`${side}K${b}`]!, v: values[`${side}V${b}`]!, beta: values[`${side}Beta${b}`]! };
      const initialState = values[`${side}${b}`]!;
      const [output, state] = deltaRuleReference(
        { q: features(q, keyDim), ...writes, initialState, ...resets },
        { ...sizes, keyDim, valueDim },
      );
      states.push(state);
      return output;
    };
    const hiddenValues = read('inward', layerNormOf(h, dim, values[`gain${b}`]!, values[`bias${b}`]!), dim, hidden);
    const change = read('outward', hiddenValues, hidden, dim);
    h = h.map((x, i) => x + change[i]!);
  }
  return [h, ...states];
}

// ---- Delta Delta Net -----------------------------------------------------------------------------

const DELTA_SEQUENCES = ['q', 'k', 'v', 'beta'];

/** The inner memory has keys of `dim` and values of `hidden` elements. */
function deltaInputs({ batch, heads, time, dim, hidden }: Sizes): Inputs {
  const width = 2 * dim + hidden + 1;
  return {
    q: keys([batch, heads, time, 4], 1),
    k: keys([batch, heads, time, 4], 2),
    v: noiseInput([batch, heads, time, width], 3),
    beta: rates([batch, heads, time], 4),
    outer: noiseInput([batch, heads, width, 4], 5),
    inner: noiseInput([batch, heads, hidden, dim], 6),
  };
}

function delta(tensors: Tensors, dim: number, resetMask?: tf.Tensor): tf.Tensor[] {
  const { q, k, v, beta, outer, inner } = tensors as Record<string, tf.Tensor>;
  const initialState = { outer, inner } as DeltaDeltaState;
  const options = { innerKeyDim: dim, initialState, resetMask };
  const { output, finalState } = deltaDelta({ q: q!, k: k!, v: v!, beta: beta! }, options);
  return [output, finalState.outer, finalState.inner];
}

function deltaReference(values: Values, { dim, hidden, ...sizes }: Sizes, reset?: number[]): Float64Array[] {
  const { q, k, v, beta, outer, inner } = values as Record<string, Float64Array>;
  const width = 2 * dim + hidden + 1;
  const resets = reset === undefined ? {} : { reset };
  const [fast, outerState] = deltaRuleReference(
    { q: q!, k: k!, v: v!, beta: beta!, initialState: outer!, ...resets },
    { ...sizes, keyDim: 4, valueDim: width },
  );
  const part = (from: number, size: number) =>
    Float64Array.from({ length: (fast.length / width) * size }, (_, i) => {
      return fast[Math.floor(i / size) * width + from + (i % size)]!;
    });
  const [output, innerState] = deltaRuleReference(
    {
      q: features(part(0, dim), dim),
      k: features(part(dim, dim), dim),
      v: part(2 * dim, hidden),
      beta: part(width - 1, 1).map((x) => 1 / (1 + Math.exp(-x))),
      initialState: inner!,
      ...resets,
    },
    { ...sizes, keyDim: dim, valueDim: hidden },
  );
  return [output, outerState, innerState];
}

describe.each(devices)('deep fast nets on $name', ({ name, options }) => {
  const numRuns = isComposed(name) ? 4 : 8;
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('Delta MLPs follow their equations, with exact gradients of everything, resets included', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        expectMatchesReference({
          inputs: mlpInputs(sizes),
          operation: (tensors) => mlp(tensors, resets ? resetMaskOf(sizes) : undefined),
          reference: (values) => mlpReference(values, sizes, resets ? resetsOf(sizes) : undefined),
          tolerance: 2e-5,
        });
      }),
      { numRuns },
    );
  });

  it('Delta Delta Nets follow their equations, with exact gradients of everything, resets included', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        expectMatchesReference({
          inputs: deltaInputs(sizes),
          operation: (tensors) => delta(tensors, sizes.dim, resets ? resetMaskOf(sizes) : undefined),
          reference: (values) => deltaReference(values, sizes, resets ? resetsOf(sizes) : undefined),
          tolerance: 2e-5,
        });
      }),
      { numRuns },
    );
  });

  it('give the same in pieces and step by step', () => {
    const sizes = { batch: 2, heads: 2, time: 9, dim: 4, hidden: 6 };
    const nets = [
      {
        inputs: mlpInputs(sizes),
        sequences: MLP_SEQUENCES,
        run: (tensors: Tensors) => mlp(tensors),
        states: ['inward0', 'outward0', 'inward1', 'outward1'],
      },
      {
        inputs: deltaInputs(sizes),
        sequences: DELTA_SEQUENCES,
        run: (tensors: Tensors) => delta(tensors, 4),
        states: ['outer', 'inner'],
      },
    ];
    for (const { inputs, sequences, run, states } of nets) {
      const whole = valuesAndGradients(inputs, run);
      const split = valuesAndGradients(inputs, (tensors) => {
        let current = tensors;
        const outputs: tf.Tensor[] = [];
        for (const [from, to] of [
          [0, 4],
          [4, 9],
        ] as const) {
          const [output, ...next] = run({ ...steps(current, sequences, 2, 0, to - from) });
          outputs.push(output!);
          const rest = steps(tensors, sequences, 2, to, 9);
          current = { ...rest, ...Object.fromEntries(states.map((state, i) => [state, next[i]!])) };
        }
        return [tf.concat(outputs, 2), ...states.map((state) => current[state]!)];
      });
      expectRelativeErrors(split, whole, 1e-5);
    }
    tf.tidy(() => {
      const at = (tensors: Tensors, sequences: string[], t: number): Tensors =>
        Object.fromEntries(
          Object.entries(tensors).map(([key, x]) => [key, sequences.includes(key) ? tf.gather(x, t, 2) : x]),
        );
      const ofMlp = tensorsOf(mlpInputs(sizes));
      const ofDelta = tensorsOf(deltaInputs(sizes));
      let mlpState = mlpStateOf(ofMlp);
      let deltaState = { outer: ofDelta['outer']!, inner: ofDelta['inner']! } as DeltaDeltaState;
      const outputs: [tf.Tensor[], tf.Tensor[]] = [[], []];
      for (let t = 0; t < 9; t++) {
        const step = at(ofMlp, MLP_SEQUENCES, t);
        const first = deltaMlpStep(step['q']!, blocksOf(step), mlpState);
        const { q, k, v, beta } = at(ofDelta, DELTA_SEQUENCES, t) as Record<string, tf.Tensor>;
        const second = deltaDeltaStep({ q: q!, k: k!, v: v!, beta: beta! }, deltaState, { innerKeyDim: 4 });
        outputs[0].push(first.output);
        outputs[1].push(second.output);
        mlpState = first.state;
        deltaState = second.state;
      }
      expectWithin(tf.stack(outputs[0], 2).dataSync(), mlp(ofMlp)[0]!.dataSync(), 5e-6, 'Delta MLP');
      expectWithin(tf.stack(outputs[1], 2).dataSync(), delta(ofDelta, 4)[0]!.dataSync(), 5e-6, 'Delta Delta Net');
    });
  });
});

describe('deep fast nets', () => {
  afterAll(dispose);

  it('a Delta MLP without blocks gives its queries; one whose second matrix stays empty as well', async () => {
    await init({ device: 'wasm' });
    tf.tidy(() => {
      const tensors = tensorsOf(mlpInputs({ batch: 1, heads: 1, time: 5, dim: 3, hidden: 4 }));
      expect(deltaMlp(tensors['q']!, []).output.dataSync()).toEqual(tensors['q']!.dataSync());
      const blocks = blocksOf(tensors).map((block) => {
        return { ...block, outward: { ...block.outward, beta: tf.zerosLike(block.outward.beta) } };
      });
      expect(deltaMlp(tensors['q']!, blocks).output.dataSync()).toEqual(tensors['q']!.dataSync());
    });
  });

  it('a Delta Delta Net whose first memory only ever holds one write is a delta rule of that', async () => {
    await init({ device: 'wasm' });
    tf.tidy(() => {
      // With keys of one element that are 1 and β = 1, W is the last value, and what is read is v itself.
      const ones = tf.ones([1, 1, 6, 1]);
      const v = tf.tensor(noiseInput([1, 1, 6, 9], 3).values, [1, 1, 6, 9]);
      const [q, k, values, beta] = tf.split(v, [3, 3, 2, 1], 3) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const { output } = deltaDelta({ q: ones, k: ones, v, beta: tf.ones([1, 1, 6]) }, { innerKeyDim: 3 });
      const rule = { normalization: 'sum' } as const;
      const plain = deltaRule(eluPlusOne(q, rule), eluPlusOne(k, rule), values, tf.sigmoid(tf.squeeze(beta, [3])));
      expectWithin(output.dataSync(), plain.output.dataSync(), 1e-6, 'output');
    });
  });

  it('say what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 2, time: 5, dim: 3, hidden: 4 };
      const ofMlp = tensorsOf(mlpInputs(sizes));
      const ofDelta = tensorsOf(deltaInputs(sizes));
      expect(() => mlp({ ...ofMlp, outwardK1: ofMlp['inwardK1']! })).toThrow(
        /deltaMlp: blocks\[1\].outward.k .* \('hiddenDim'\) is 3 instead of 4/,
      );
      expect(() => deltaMlp(ofMlp['q']!, blocksOf(ofMlp), { initialState: [] })).toThrow(/0 blocks instead of 2/);
      expect(() => mlp(ofMlp, tf.zeros([1, 4], 'bool'))).toThrow(/deltaMlp: resetMask .* 4 instead of 5/);
      expect(() => deltaMlpStep(ofMlp['q']!, blocksOf(ofMlp), undefined)).toThrow(/deltaMlpStep: q/);
      expect(() => deltaMlpStep(tf.zeros([1, 2, 3]), blocksOf(ofMlp), undefined)).toThrow(
        /deltaMlpStep: blocks\[0\].inward.k .* 4 dimensions instead of 3/,
      );
      expect(() => delta({ ...ofDelta, v: tf.zeros([1, 2, 5, 7]), outer: tf.zeros([1, 2, 7, 4]) }, 3)).toThrow(
        /deltaDelta: v has 7 elements, which is too few .* give at least 8/,
      );
      expect(() => delta({ ...ofDelta, inner: tf.zeros([1, 2, 3, 4]) }, 3)).toThrow(/initialState.inner/);
    });
  });
});
