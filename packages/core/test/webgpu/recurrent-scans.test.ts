import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectMatchesReference, expectSameBits } from '../ops/against-reference.ts';
import * as fastRnn from '../ops/fast-rnn-cases.ts';
import * as recurrentDelta from '../ops/recurrent-delta-cases.ts';
import {
  expectRelativeErrors,
  resetMaskOf,
  resetsOf,
  type Tensors,
  tensorsOf,
  valuesAndGradients,
} from '../ops/scan-cases.ts';
import * as selfReferential from '../ops/self-referential-cases.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import {
  type FastRnnValues,
  fastRnnReference,
  type RecurrentDeltaValues,
  recurrentDeltaReference,
} from '../reference/recurrent-scans.ts';
import {
  type SelfReferentialSizes,
  type SelfReferentialValues,
  selfReferentialReference,
} from '../reference/self-referential.ts';

/** Three segments of steps, the last one not full; sizes that are no multiples of four, and some that are. */
const ODD: ScanSizes = { batch: 2, heads: 2, time: 35, keyDim: 6, valueDim: 9 };
const EVEN: ScanSizes = { batch: 1, heads: 2, time: 18, keyDim: 8, valueDim: 4 };
/** Heads of which an invocation has several registers; on a card, where compiling takes no minutes, the largest. */
const onCard = process.env['FWP_WEBGPU'] === 'gpu';
const LARGE: ScanSizes = { batch: 1, heads: 1, time: 2, keyDim: onCard ? 64 : 36, valueDim: onCard ? 64 : 40 };
const LARGE_SRWM = { batch: 1, heads: 1, time: 2, dim: onCard ? 64 : 20, outputDim: onCard ? 64 : 24 };

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('recurrent scans on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each<{ sizes: ScanSizes; resets?: boolean }>([{ sizes: ODD, resets: true }, { sizes: EVEN }])(
    'the Recurrent Delta Net follows its equations, with exact gradients: %o',
    ({ sizes, resets = false }) => {
      const { fastWeights, output, ...inputs } = recurrentDelta.noiseInputs(sizes);
      const reset = resets ? { reset: resetsOf(sizes) } : {};
      expectMatchesReference({
        inputs: { ...inputs, ...(resets ? { fastWeights: fastWeights!, output: output! } : {}) },
        operation: (tensors) => recurrentDelta.apply(tensors, resets ? resetMaskOf(sizes) : undefined),
        reference: (values) =>
          recurrentDeltaReference({ ...(values as unknown as RecurrentDeltaValues), ...reset }, sizes),
        tolerance: 1e-5,
      });
    },
  );

  it.each<{ sizes: ScanSizes; net: fastRnn.Net; resets?: boolean }>([
    { sizes: ODD, net: { gates: 1, version: 2 }, resets: true },
    { sizes: EVEN, net: { gates: 1, version: 1 } },
    { sizes: ODD, net: { gates: 3, version: 4 }, resets: true },
    { sizes: EVEN, net: { gates: 3, version: 3 }, resets: true },
    { sizes: { ...EVEN, time: 3 }, net: { gates: 3, version: 1 } },
  ])('Delta RNN and Delta LSTM follow their equations, with exact gradients: %o', ({ sizes, net, resets = false }) => {
    const inputs = fastRnn.noiseInputs(sizes, net);
    const reset = resets ? { reset: resetsOf(sizes) } : {};
    expectMatchesReference({
      inputs: resets ? inputs : Object.fromEntries(fastRnn.SEQUENCES.map((name) => [name, inputs[name]!])),
      operation: (tensors) => fastRnn.apply(tensors, net, resets ? resetMaskOf(sizes) : undefined),
      reference: (values) => fastRnnReference({ ...(values as unknown as FastRnnValues), ...reset }, sizes, net),
      tolerance: 1e-5,
    });
  });

  it.each<{ sizes: SelfReferentialSizes; resets?: boolean }>([
    { sizes: { batch: 2, heads: 2, time: 18, dim: 5, outputDim: 7 }, resets: true },
    { sizes: { batch: 2, heads: 1, time: 3, dim: 8, outputDim: 4 } },
  ])(
    'the self-referential weight matrix follows its equations, with exact gradients: %o',
    ({ sizes, resets = false }) => {
      const reset = resets ? { reset: selfReferential.resetsOf(sizes) } : {};
      expectMatchesReference({
        inputs: selfReferential.noiseInputs(sizes, resets),
        operation: (tensors) => {
          const resetMask = resets
            ? tf.tensor2d(selfReferential.resetsOf(sizes), [sizes.batch, sizes.time], 'bool')
            : undefined;
          return Object.values(selfReferential.apply(tensors, { resetMask }));
        },
        reference: (values) =>
          selfReferentialReference({ ...(values as unknown as SelfReferentialValues), ...reset }, sizes),
        tolerance: 1e-5,
      });
    },
  );

  it('the self-referential weight matrix goes through several long segments', () => {
    const sizes = { batch: 1, heads: 1, time: 150, dim: 3, outputDim: 2 };
    expectMatchesReference({
      inputs: selfReferential.noiseInputs(sizes),
      operation: (tensors) => Object.values(selfReferential.apply(tensors)),
      reference: (values) => selfReferentialReference(values as unknown as SelfReferentialValues, sizes),
      tolerance: 3e-5,
    });
  });

  it('follows its equations with a large head: Recurrent Delta Net', () => {
    expectMatchesReference({
      inputs: recurrentDelta.noiseInputs(LARGE),
      operation: (tensors) => recurrentDelta.apply(tensors),
      reference: (values) => recurrentDeltaReference(values as unknown as RecurrentDeltaValues, LARGE),
      tolerance: 1e-5,
    });
  });

  it('follows its equations with a large head: Delta RNN', () => {
    const net = { gates: 1, version: 2 } as const;
    expectMatchesReference({
      inputs: fastRnn.noiseInputs(LARGE, net),
      operation: (tensors) => fastRnn.apply(tensors, net),
      reference: (values) => fastRnnReference(values as unknown as FastRnnValues, LARGE, net),
      tolerance: 1e-5,
    });
  });

  it('follows its equations with a large head: self-referential weight matrix', () => {
    expectMatchesReference({
      inputs: selfReferential.noiseInputs(LARGE_SRWM),
      operation: (tensors) => Object.values(selfReferential.apply(tensors)),
      reference: (values) => selfReferentialReference(values as unknown as SelfReferentialValues, LARGE_SRWM),
      tolerance: 1e-5,
    });
  });

  it('larger heads than there is room for are composed', () => {
    const sizes = { batch: 1, heads: 1, time: 2, keyDim: 3, valueDim: 65 };
    const inputs = recurrentDelta.noiseInputs(sizes);
    const values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.values]));
    const actual = tf.tidy(() => recurrentDelta.apply(tensorsOf(inputs)).map((x) => x.dataSync()));
    expectRelativeErrors(actual, recurrentDeltaReference(values as unknown as RecurrentDeltaValues, sizes), 1e-5);
  });

  it('gives the same in pieces, the state carried over, gradients included', () => {
    const inputs = recurrentDelta.noiseInputs(EVEN);
    const whole = valuesAndGradients(inputs, (tensors) => recurrentDelta.apply(tensors));
    const inPieces = valuesAndGradients(inputs, (tensors) => {
      const outputs: tf.Tensor[] = [];
      let state: Tensors = tensors;
      for (const [from, to] of [
        [0, 17],
        [17, 17],
        [17, 18],
      ] as const) {
        const piece = recurrentDelta.SEQUENCES.map((name) => {
          const x = tensors[name]!;
          const begin = [0, 0, from];
          return [name, tf.slice(x, begin, [...x.shape.slice(0, 2), to - from])] as const;
        });
        const [output, fastWeights, last] = recurrentDelta.apply({ ...state, ...Object.fromEntries(piece) });
        outputs.push(output!);
        state = { ...tensors, fastWeights: fastWeights!, output: last! };
      }
      return [tf.concat(outputs, 2), state['fastWeights']!, state['output']!];
    });
    expectRelativeErrors(inPieces, whole, 1e-5);
  });

  it('gives the same bits with the memory for one head at a time', () => {
    const net = { gates: 1, version: 2 } as const;
    const srwm = { batch: 2, heads: 1, time: 3, dim: 8, outputDim: 4 };
    const runs = (): Float32Array[] => [
      ...valuesAndGradients(recurrentDelta.noiseInputs(EVEN), (tensors) => recurrentDelta.apply(tensors)),
      ...valuesAndGradients(fastRnn.noiseInputs(EVEN, net), (tensors) => fastRnn.apply(tensors, net)),
      ...valuesAndGradients(selfReferential.noiseInputs(srwm), (tensors) =>
        Object.values(selfReferential.apply(tensors)),
      ),
    ];
    const whole = runs();
    tf.env().set('FWP_WEBGPU_SCAN_BYTES', 1);
    try {
      expectSameBits(runs(), whole);
    } finally {
      tf.env().set('FWP_WEBGPU_SCAN_BYTES', 2 ** 27);
    }
  });

  it('forgets everything at a reset, NaN included, and leaves nothing allocated', () => {
    const sizes = { batch: 1, heads: 1, time: 4, keyDim: 8, valueDim: 4 };
    const inputs = recurrentDelta.noiseInputs(sizes);
    for (const name of ['fastWeights', 'output']) inputs[name]!.values.fill(Number.NaN);
    const run = (): Float32Array[] =>
      tf.tidy(() => {
        const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
        return valuesAndGradients(inputs, (tensors) => recurrentDelta.apply(tensors, resetMask));
      });
    const [output, state] = run();
    expect(output!.slice(0, 8).every(Number.isNaN)).toBe(true);
    expect(output!.slice(8).every(Number.isFinite)).toBe(true);
    expect(state!.every(Number.isFinite)).toBe(true);
    run();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    run();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });

  it('takes no steps', () => {
    const inputs = recurrentDelta.noiseInputs({ ...EVEN, time: 0 });
    const [output, state, last, ...gradients] = valuesAndGradients(inputs, (tensors) => recurrentDelta.apply(tensors));
    expect(output!.length).toBe(0);
    expect(state).toEqual(inputs['fastWeights']!.values);
    expect(last).toEqual(inputs['output']!.values);
    const ofKeyWeight = gradients[Object.keys(inputs).indexOf('keyWeight')];
    expect(ofKeyWeight).toEqual(new Float32Array(inputs['keyWeight']!.values.length));
  });
});
