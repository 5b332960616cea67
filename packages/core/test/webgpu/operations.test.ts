/**
 * Every operation on webgpu, values and gradients, against the CPU engine, whose kernels other tests compare with float64
 * references over random shapes. Compiling a program takes seconds on a GPU in software, so that each operation has one small case.
 */

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as fwp from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { type Input, type Inputs, noise, noiseInput } from '../ops/against-reference.ts';
import { expectRelativeErrors, keys, rates, type Tensors, valuesAndGradients } from '../ops/scan-cases.ts';

const [gpu] = await webGpuDevices();

interface Case {
  readonly inputs: Inputs;
  readonly run: (tensors: Tensors) => tf.Tensor[];
  /** Default 1e-5. */
  readonly tolerance?: number;
}

const [B, H, T, K, V] = [2, 2, 19, 5, 6];
const resets = () => tf.cast(tf.greater(tf.tensor2d(noise(B * T, 9), [B, T]), 0.6), 'bool');
const positive = ({ shape, values }: Input): Input => ({ shape, values: values.map((x) => Math.abs(x) + 0.1) });
const weightsOf = (shape: number[], seed: number): Input => noiseInput(shape, seed, 0.5);
const heads = {
  q: keys([B, H, T, K], 1),
  k: keys([B, H, T, K], 2),
  v: noiseInput([B, H, T, V], 3),
  beta: rates([B, H, T], 4),
};
const fast = {
  ...heads,
  recurrentK: keys([B, H, T, V], 5),
  recurrentV: noiseInput([B, H, T, V], 6),
  recurrentBeta: rates([B, H, T], 7),
};
const outputAndState = ({ output, finalState }: { output: tf.Tensor; finalState: tf.Tensor }) => [output, finalState];

const CASES: Readonly<Record<string, Case>> = {
  attention: {
    inputs: {
      q: noiseInput([B, H, 7, K], 1),
      k: noiseInput([B, H, 9, K], 2),
      v: noiseInput([B, H, 9, V], 3),
      bias: noiseInput([1, H, 7, 9], 4),
    },
    run: ({ q, k, v, bias }) => {
      const keyMask = tf.greater(tf.tensor2d(noise(B * 9, 5), [B, 9]), -0.8);
      return [fwp.attention(q!, k!, v!, { causal: true, window: 4, bias, keyMask })];
    },
  },
  selfAttention: {
    inputs: { qkv: noiseInput([B, 20, 3, H, 8], 1) },
    run: ({ qkv }) => [fwp.selfAttention(qkv!, { causal: true })],
  },
  geometricAttention: {
    inputs: { projections: noiseInput([B, 9, 3 * H * 4 + 2 * H], 1), coefficients: noiseInput([3], 2) },
    run: ({ projections, coefficients }) => [fwp.geometricAttention(projections!, coefficients!, { heads: H })],
  },
  softmaxCrossEntropy: {
    inputs: { logits: noiseInput([4, 5, 11], 1, 3) },
    run: ({ logits }) => {
      const targets = tf.tensor2d(
        [...noise(20, 2)].map((x) => Math.floor((x + 1) * 5)),
        [4, 5],
        'int32',
      );
      const mask = tf.tensor2d(
        [...noise(20, 3)].map((x) => (x > -0.5 ? 1 : 0)),
        [4, 5],
      );
      return [
        fwp.softmaxCrossEntropy(logits!, targets),
        fwp.softmaxCrossEntropy(logits!, targets, { mask, labelSmoothing: 0.1, reduction: 'none' }),
        fwp.softmaxCrossEntropy(logits!, targets, { mask: tf.mul(mask, 0.5) }),
        fwp.softmaxCrossEntropy(logits!, targets, { mask, reduction: 'sum' }),
        fwp.softmaxCrossEntropy(logits!, targets, { mask: tf.greater(mask, 0) }),
      ];
    },
  },
  layerNorm: {
    inputs: {
      x: noiseInput([3, 4, 37], 1),
      r: noiseInput([3, 4, 37], 2),
      gain: noiseInput([37], 3),
      bias: noiseInput([37], 4),
    },
    run: ({ x, r, gain, bias }) => {
      const { sum, output } = fwp.addLayerNorm(x!, r!, gain!, bias!);
      return [fwp.layerNorm(x!, gain!, bias!), sum, output];
    },
  },
  rmsNorm: {
    inputs: { x: noiseInput([3, 4, 37], 1), r: noiseInput([3, 4, 37], 2), gain: noiseInput([37], 3) },
    run: ({ x, r, gain }) => {
      const { sum, output } = fwp.addRmsNorm(x!, r!, gain!);
      return [fwp.rmsNorm(x!, gain!), sum, output];
    },
  },
  embedding: {
    inputs: { table: noiseInput([9, 5], 1) },
    run: ({ table }) => [fwp.embedding(table as tf.Tensor2D, tf.tensor2d([0, 3, 3, 8, 1, 3], [2, 3], 'int32'))],
  },
  'linear, gelu and silu': {
    inputs: { x: noiseInput([3, 4, 7], 1), weight: noiseInput([7, 9], 2), bias: noiseInput([9], 3) },
    run: ({ x, weight, bias }) => [
      fwp.linear(x!, weight!, { bias, activation: 'silu' }),
      fwp.linear(x!, weight!, { activation: 'gelu' }),
      fwp.gelu(x!, { approximate: 'tanh' }),
    ],
  },
  experts: {
    inputs: {
      x: noiseInput([6, 5], 1),
      keys: noiseInput([4, 5, 7], 2),
      values: noiseInput([4, 7, 5], 3),
      gates: rates([6, 2], 4),
    },
    run: ({ x, keys: k, values, gates }) => {
      const indices = tf.tensor2d([0, 1, 1, 2, 3, 0, 2, 3, 1, 3, 0, 2], [6, 2], 'int32');
      const given = [x as tf.Tensor2D, k as tf.Tensor3D] as const;
      return [
        fwp.expertFeedForward(...given, values as tf.Tensor3D, indices, gates as tf.Tensor2D),
        fwp.expertMatMul(...given, indices, { gates }),
      ];
    },
  },
  'feature maps': {
    inputs: { x: noiseInput([3, 4, 6], 1) },
    run: ({ x }) => {
      const projection = tf.tensor2d(noise(6 * 8, 2), [6, 8]);
      return [
        fwp.dpfp(x!, { nu: 2, normalization: 'sum' }),
        fwp.favorPlus(x!, projection, {}),
        fwp.eluPlusOne(x!, { normalization: 'l2' }),
        fwp.reluFeatures(x!),
        fwp.softmaxFeatures(x!),
      ];
    },
  },
  copyGate: {
    inputs: { state: noiseInput([4, 6], 1), update: noiseInput([4, 6], 2), gate: noiseInput([4, 6], 3) },
    run: ({ state, update, gate }) => [fwp.copyGate(state!, update!, gate!)],
  },
  relativeScores: {
    inputs: { q: noiseInput([B, 4, H, K], 1), r: noiseInput([9, H, K], 2) },
    run: ({ q, r }) => [fwp.relativeScores(q!, r!, { keys: 6 })],
  },
  dropout: {
    inputs: { x: noiseInput([30, 40], 1) },
    run: ({ x }) => [fwp.dropout(x!, 0.4, new fwp.RandomStream(3))],
  },
  elementwiseLstm: {
    inputs: {
      x: noiseInput([B, T, 4], 1),
      inputWeight: weightsOf([4, 10], 2),
      recurrentWeight: weightsOf([10], 3),
      bias: weightsOf([10], 4),
      initialState: noiseInput([B, 5], 5),
    },
    run: ({ x, initialState, ...weights }) =>
      outputAndState(
        fwp.elementwiseLstm(x!, weights as unknown as fwp.ElementwiseLstmWeights, {
          initialState,
          resetMask: resets(),
        }),
      ),
  },
  lstm: {
    inputs: {
      x: noiseInput([B, 7, 4], 1),
      inputWeight: weightsOf([4, 20], 2),
      recurrentWeight: weightsOf([5, 20], 3),
      bias: weightsOf([20], 4),
    },
    run: ({ x, ...weights }) => {
      const { output, finalHidden, finalCell } = fwp.lstm(x!, weights as unknown as fwp.LstmWeights);
      return [output, finalHidden, finalCell];
    },
  },
  ojaRule: {
    inputs: heads,
    run: ({ q, k, v, beta }) => outputAndState(fwp.ojaRule(q!, k!, v!, beta!, { resetMask: resets() })),
  },
  'retention, ssd and mLstm': {
    inputs: { ...heads, dt: positive(noiseInput([B, H, T], 5)), a: noiseInput([H], 6) },
    run: ({ q, k, v, beta, dt, a }) => [
      ...outputAndState(fwp.retention(q!, k!, v!)),
      ...outputAndState(fwp.ssd(q!, k!, v!, dt!, tf.neg(tf.exp(a!)))),
      fwp.mLstm(q!, k!, v!, beta!, dt!).output,
    ],
  },
  deltaRnn: {
    inputs: fast,
    run: (given) => [fwp.deltaRnn(given as unknown as fwp.DeltaRnnInputs, { resetMask: resets() }).output],
  },
  recurrentDelta: {
    inputs: {
      ...Object.fromEntries(Object.entries(heads).map(([name, { shape }], i) => [name, noiseInput(shape, i + 1)])),
      query: weightsOf([H, K, V], 5),
      key: weightsOf([H, K, V], 6),
      value: weightsOf([H, V, V], 7),
      strength: weightsOf([H, V], 8),
    },
    run: ({ q, k, v, beta, query, key, value, strength }) => {
      const weights = { query, key, value, beta: strength } as unknown as fwp.RecurrentDeltaWeights;
      const inputs = { q, k, v, beta } as unknown as fwp.RecurrentDeltaInputs;
      return [fwp.recurrentDelta(inputs, weights, { resetMask: resets() }).output];
    },
    tolerance: 3e-5,
  },
  selfReferential: {
    inputs: { x: noiseInput([B, H, 9, 4], 1), weights: weightsOf([H, 4, 3 + 8 + 4], 2) },
    run: ({ x, weights }) => outputAndState(fwp.selfReferential(x!, weights!)),
    tolerance: 3e-5,
  },
  'vector quantisation': {
    // The codebook is constant.
    inputs: { vectors: noiseInput([7, 6], 1) },
    run: ({ vectors }) => {
      const codebook = tf.tensor2d(noise(5 * 6, 2), [5, 6]);
      const { output, error } = fwp.vqQuantize(vectors!, codebook);
      return [output, error, tf.cast(fwp.vqAssign(vectors!, codebook), 'float32')];
    },
  },
  'segmentSum and gridNeighborSum': {
    inputs: { values: noiseInput([6, 5], 1) },
    run: ({ values }) => [
      fwp.segmentSum(values as tf.Tensor2D, tf.tensor1d([2, 0, 2, 3, 0, 0], 'int32'), 4).sums,
      ...[[6], [2, 3], [3, 1, 2], [1, 3, 2, 1]].map((gridShape) => fwp.gridNeighborSum(values!, gridShape, 0.3)),
    ],
  },
  affineScan: {
    inputs: { transition: rates([B, 9, 3, 4], 1), input: noiseInput([B, 9, 3, 4], 2) },
    run: ({ transition, input }) => [
      fwp.affineScan('elementwise', { transition: transition!, input: input! }, {}).states,
    ],
  },
  vTrace: {
    // Targets are constants.
    inputs: { factor: noiseInput([B, 6], 1) },
    run: ({ factor }) => {
      const constant = (seed: number) => tf.tensor2d(noise(B * 6, seed), [B, 6]);
      const { targets, advantages } = fwp.vTrace({
        ...{ logRhos: constant(2), discounts: tf.fill([B, 6], 0.9), rewards: constant(3), values: constant(4) },
        bootstrapValue: tf.ones([B]),
      });
      return [tf.mul(targets, factor!), tf.mul(advantages, factor!)];
    },
  },
};

describe.skipIf(gpu === undefined)('operations on webgpu', { timeout: 240_000 }, () => {
  const expected = new Map<string, Float32Array[]>();
  beforeAll(async () => {
    await fwp.init({ device: 'wasm', threads: 1 });
    for (const [name, { inputs, run }] of Object.entries(CASES)) expected.set(name, valuesAndGradients(inputs, run));
    await fwp.init(gpu?.options);
    // Small tensors would be computed by tfjs's CPU backend.
    tf.env().set('WEBGPU_CPU_FORWARD', false);
  });
  afterAll(fwp.dispose);

  it.each(Object.entries(CASES))('%s: as on the CPU, gradients included', (name, { inputs, run, tolerance = 1e-5 }) => {
    const before = tf.memory().numTensors;
    expectRelativeErrors(valuesAndGradients(inputs, run), expected.get(name)!, tolerance);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('integers that are cast are numbers to our kernels', () => {
    tf.tidy(() => {
      const integers = tf.tensor2d([3, 0, 4, 0, 0, 2], [2, 3], 'int32');
      const gain = tf.ones([3]);
      const norms = (x: tf.Tensor) => Array.from(fwp.rmsNorm(tf.cast(x, 'float32'), gain).dataSync(), (y) => y ** 2);
      const expected = [27 / 25, 0, 48 / 25, 0, 0, 3];
      expect(norms(integers)).toEqual(expected.map((y) => expect.closeTo(y, 3)));
      expect(norms(tf.add(integers, tf.scalar(0, 'int32')))).toEqual(expected.map((y) => expect.closeTo(y, 3)));
      expect(norms(tf.greater(integers, 0))).toEqual([1.5, 0, 1.5, 0, 0, 3].map((y) => expect.closeTo(y, 3)));
      expect(tf.cast(tf.greater(integers, 0), 'float32').dataSync()).toEqual(Float32Array.of(1, 0, 1, 0, 0, 1));
      expect(tf.cast(tf.zeros([0, 2], 'int32'), 'float32').dataSync()).toEqual(new Float32Array(0));
    });
  });

  it('softmaxCrossEntropy does not look at what is masked, and gives NaN for a target that is no class', () => {
    tf.tidy(() => {
      const logits = tf.tensor2d([
        [1, 2, 3],
        [Number.NaN, 0, 0],
        [3, 1, 2],
      ]);
      const mask = tf.tensor1d([1, 0, 1]);
      const loss = (x: tf.Tensor) => fwp.softmaxCrossEntropy(x, tf.tensor1d([2, 7, 0], 'int32'), { mask }) as tf.Scalar;
      expect(loss(logits).dataSync()[0]).toBeCloseTo(0.40760596, 5);
      const gradient = tf.grad(loss)(logits).dataSync();
      expect(Array.from(gradient.slice(3, 6))).toEqual([0, 0, 0]);
      expect(Array.from(gradient).every(Number.isFinite)).toBe(true);
      expect(fwp.softmaxCrossEntropy(logits, tf.tensor1d([2, 0, 3], 'int32')).dataSync()[0]).toBeNaN();
    });
  });

  it('layerNorm and softmaxCrossEntropy take nothing', () => {
    tf.tidy(() => {
      const [gain, bias] = [tf.ones([5]), tf.zeros([5])];
      const loss = (x: tf.Tensor) =>
        fwp.softmaxCrossEntropy(fwp.layerNorm(x, gain, bias), tf.zeros([0], 'int32')) as tf.Scalar;
      expect(loss(tf.zeros([0, 5])).dataSync()[0]).toBe(0);
      expect(tf.grad(loss)(tf.zeros([0, 5])).shape).toEqual([0, 5]);
    });
  });
});
