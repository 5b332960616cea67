import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  deltaRule,
  dispose,
  gatedDeltaRule,
  gatedLinearAttention,
  init,
  linearAttention,
  type ScanOptions,
} from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectMatchesReference, expectSameBits, type Inputs, noise, noiseInput } from '../ops/against-reference.ts';
import { expectRelativeErrors, resetsOf, type Tensors, valuesAndGradients } from '../ops/scan-cases.ts';
import { type DeltaRuleValues, deltaRuleReference, type ScanSizes } from '../reference/delta-rule.ts';
import { type SumRuleValues, sumRuleReference } from '../reference/sum-rule.ts';

/** Several chunks, the last one not full; rows for two workgroups; keys that are no multiple of four, and one that is. */
const ODD: ScanSizes = { batch: 2, heads: 2, time: 37, keyDim: 6, valueDim: 35 };
const EVEN: ScanSizes = { batch: 1, heads: 3, time: 21, keyDim: 8, valueDim: 4 };
/** More key channels than one workgroup of the chunks' gradients has, and than a chunk takes at once. */
const WIDE: ScanSizes = { batch: 1, heads: 1, time: 18, keyDim: 40, valueDim: 5 };

interface Case {
  readonly sizes: ScanSizes;
  readonly decay?: 'step' | 'channel';
  readonly resets?: boolean;
  readonly read?: 'before' | 'after';
  readonly normalize?: boolean;
}

function inputsOf({ sizes, decay, normalize = false }: Case, beta: boolean): Inputs {
  const { batch, heads, time, keyDim, valueDim } = sizes;
  const gate = (shape: number[], seed: number, most: number) => ({
    shape,
    values: noise(tf.util.sizeFromShape(shape), seed).map((x) => (x < -0.9 ? 0 : ((x + 1) / 2) * most)),
  });
  const steps = [batch, heads, time];
  const positive = (input: { shape: number[]; values: Float32Array }) =>
    normalize ? { ...input, values: input.values.map((x) => Math.abs(x) + 0.1) } : input;
  return {
    q: positive(noiseInput([...steps, keyDim], 1)),
    k: positive(noiseInput([...steps, keyDim], 2, 1.7 / Math.sqrt(keyDim))),
    v: noiseInput([...steps, valueDim], 3),
    ...(beta ? { beta: gate(steps, 4, 1.5) } : {}),
    initialState: noiseInput([batch, heads, valueDim, keyDim], 5),
    ...(decay ? { decay: gate(decay === 'step' ? steps : [...steps, keyDim], 6, 1) } : {}),
    ...(normalize ? { initialNormalizer: positive(noiseInput([batch, heads, keyDim], 7)) } : {}),
  };
}

function optionsOf({ sizes, resets, read = 'after' }: Case, tensors: Tensors): ScanOptions {
  const resetMask = resets ? tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool') : undefined;
  return { resetMask, read, initialState: tensors['initialState'] };
}

function runDelta(tensors: Tensors, given: Case): tf.Tensor[] {
  const { q, k, v, beta, decay } = tensors;
  const options = optionsOf(given, tensors);
  const { output, finalState } =
    decay === undefined ? deltaRule(q!, k!, v!, beta!, options) : gatedDeltaRule(q!, k!, v!, beta!, decay, options);
  return [output, finalState];
}

function runSum(tensors: Tensors, given: Case): tf.Tensor[] {
  const { q, k, v, decay, initialNormalizer } = tensors;
  const options = { ...optionsOf(given, tensors), normalize: given.normalize, initialNormalizer, epsilon: 0.01 };
  const { output, finalState, finalNormalizer } =
    decay === undefined ? linearAttention(q!, k!, v!, options) : gatedLinearAttention(q!, k!, v!, decay, options);
  return [output, finalState, ...(finalNormalizer ? [finalNormalizer] : [])];
}

/** The number of steps from which on scans run in chunks; 128 unless it is changed. */
function inChunksFrom(steps: number): void {
  tf.env().set('FWP_WEBGPU_CHUNKWISE_STEPS', steps);
}

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('fast-weight scans on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterEach(() => inChunksFrom(128));
  afterAll(dispose);

  it.each<Case>([
    { sizes: ODD },
    { sizes: ODD, decay: 'step', resets: true },
    { sizes: EVEN, resets: true, read: 'before' },
    { sizes: EVEN, decay: 'step', resets: true, read: 'before' },
  ])('the delta rule follows its equations, with exact gradients: %o', (given) => {
    const reset = given.resets ? { reset: resetsOf(given.sizes) } : {};
    expectMatchesReference({
      inputs: inputsOf(given, true),
      operation: (tensors) => runDelta(tensors, given),
      reference: (values) =>
        deltaRuleReference({ ...(values as unknown as DeltaRuleValues), ...reset }, given.sizes, given.read),
      tolerance: 1e-5,
    });
  });

  it.each<Case>([
    { sizes: ODD },
    { sizes: ODD, decay: 'channel', resets: true },
    { sizes: EVEN, decay: 'step', resets: true, read: 'before' },
    { sizes: EVEN, decay: 'channel', read: 'before' },
    { sizes: WIDE, decay: 'channel', normalize: true },
  ])('linear attention follows its equations, with exact gradients: %o', (given) => {
    const reset = given.resets ? { reset: resetsOf(given.sizes) } : {};
    const reading = {
      read: given.read ?? 'after',
      ...(given.normalize ? { denominator: (zq: number) => zq + 0.01 } : {}),
    } as const;
    expectMatchesReference({
      inputs: inputsOf(given, false),
      operation: (tensors) => runSum(tensors, given),
      reference: (values) =>
        sumRuleReference({ ...(values as unknown as SumRuleValues), ...reset }, given.sizes, reading).slice(
          0,
          given.normalize ? 3 : 2,
        ),
      tolerance: 1e-5,
    });
  });

  it.each<Case & { delta: boolean }>([
    { delta: true, sizes: ODD, decay: 'step', resets: true },
    { delta: true, sizes: { ...EVEN, time: 32 }, read: 'before', resets: true },
    { delta: false, sizes: { ...EVEN, time: 34 }, decay: 'step', resets: true, read: 'before' },
    { delta: false, sizes: ODD },
    { delta: true, sizes: WIDE },
  ])('follows the equations in chunks, with exact gradients: %o', ({ delta, ...given }) => {
    const reset = given.resets ? { reset: resetsOf(given.sizes) } : {};
    inChunksFrom(1);
    expectMatchesReference({
      inputs: inputsOf(given, delta),
      operation: (tensors) => (delta ? runDelta : runSum)(tensors, given),
      reference: (values) =>
        delta
          ? deltaRuleReference({ ...(values as unknown as DeltaRuleValues), ...reset }, given.sizes, given.read)
          : sumRuleReference({ ...(values as unknown as SumRuleValues), ...reset }, given.sizes, {
              read: given.read ?? 'after',
            }).slice(0, 2),
      tolerance: 1e-5,
    });
  });

  it('gives the same in chunks and step by step, over many steps', () => {
    const given: Case = { sizes: { ...EVEN, time: 150 }, decay: 'step', resets: true };
    const inputs = inputsOf(given, true);
    const inChunks = valuesAndGradients(inputs, (tensors) => runDelta(tensors, given));
    inChunksFrom(151);
    const bySteps = valuesAndGradients(inputs, (tensors) => runDelta(tensors, given));
    expect(inChunks[0]).not.toEqual(bySteps[0]);
    expectRelativeErrors(inChunks, bySteps, 3e-6);
  });

  it('gives the same in pieces, the state carried over, gradients included', () => {
    const given: Case = { sizes: EVEN, decay: 'step' };
    const inputs = inputsOf(given, true);
    const whole = valuesAndGradients(inputs, (tensors) => runDelta(tensors, given));
    const inPieces = valuesAndGradients(inputs, (tensors) => {
      const outputs: tf.Tensor[] = [];
      let state = tensors['initialState']!;
      for (const [from, to] of [
        [0, 1],
        [1, 17],
        [17, 17],
        [17, 21],
      ] as const) {
        const piece = Object.entries(tensors).map(([name, x]): [string, tf.Tensor] => {
          if (name === 'initialState') return [name, state];
          const begin = [0, 0, from];
          return [name, tf.slice(x, begin, [...x.shape.slice(0, 2), to - from])];
        });
        const [output, finalState] = runDelta(Object.fromEntries(piece), given) as [tf.Tensor, tf.Tensor];
        outputs.push(output);
        state = finalState;
      }
      return [tf.concat(outputs, 2), state];
    });
    expectRelativeErrors(inPieces, whole, 3e-6);
  });

  it('gives the same bits with the memory for one head at a time', () => {
    for (const run of [runDelta, runSum]) {
      const given: Case = { sizes: EVEN, decay: 'step' };
      const inputs = inputsOf(given, run === runDelta);
      const whole = valuesAndGradients(inputs, (tensors) => run(tensors, given));
      tf.env().set('FWP_WEBGPU_SCAN_BYTES', 1);
      const headByHead = valuesAndGradients(inputs, (tensors) => run(tensors, given));
      tf.env().set('FWP_WEBGPU_SCAN_BYTES', 2 ** 27);
      expectSameBits(headByHead, whole);
    }
  });

  it.each([1, 128])('forgets everything at a reset, NaN included: chunks from %i steps on', (steps) => {
    inChunksFrom(steps);
    tf.tidy(() => {
      const { q, k, v, beta } = tf.tidy(() => ({
        q: tf.ones([1, 1, 4, 8]),
        k: tf.ones([1, 1, 4, 8]),
        v: tf.ones([1, 1, 4, 4]),
        beta: tf.ones([1, 1, 4]),
      }));
      const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
      const { output } = deltaRule(q, k, v, beta, { initialState: tf.fill([1, 1, 4, 8], Number.NaN), resetMask });
      const values = [...output.dataSync()];
      expect(values.slice(0, 8).every(Number.isNaN)).toBe(true);
      expect(values.slice(8).every(Number.isFinite)).toBe(true);
    });
  });

  it('leaves nothing allocated, and takes the memory of the step before', () => {
    const given: Case = { sizes: EVEN, decay: 'step', resets: true };
    const inputs = inputsOf(given, true);
    const step = () => valuesAndGradients(inputs, (tensors) => runDelta(tensors, given));
    step();
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
