import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AFFINE_TRANSITIONS, dispose, init } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import * as affine from '../ops/affine-scan-cases.ts';
import { expectMatchesReference, expectWithin } from '../ops/against-reference.ts';
import * as lstm from '../ops/elementwise-lstm-cases.ts';
import { resetMaskOf, resetsOf, valuesAndGradients } from '../ops/scan-cases.ts';
import { elementwiseLstmReference, elementwiseLstmRtrlReference } from '../reference/elementwise-lstm.ts';
import { affineScanReference } from '../reference/prefix-scan.ts';

/** Rows for two workgroups of the matrix kernel, and more columns than one has invocations. */
const AFFINE = { batch: 2, time: 5, rows: 5, columns: 3 };
const WIDE = { batch: 1, time: 2, rows: 1, columns: 70 };
const LSTM = { batch: 2, time: 7, inputs: 3, hidden: 35 };

/** What a call without state and bias has. */
const ZEROS = { bias: new Float64Array(2 * LSTM.hidden), initialState: new Float64Array(LSTM.batch * LSTM.hidden) };

type AffineValues = Parameters<typeof affineScanReference>[1];
type LstmValues = Parameters<typeof elementwiseLstmReference>[0];

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('scans of elements on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each([
    ...AFFINE_TRANSITIONS.map((kind) => ({ kind, sizes: AFFINE, resets: true })),
    { kind: 'matrix', sizes: WIDE, resets: false } as const,
  ])('an affine scan follows its equation, with exact gradients: $kind', ({ kind, sizes, resets }) => {
    const reset = resets ? { reset: resetsOf(sizes) } : {};
    const { initialState, ...inputs } = affine.noiseInputs(kind, sizes);
    expectMatchesReference({
      inputs: { ...inputs, ...(resets ? { initialState: initialState! } : {}) },
      operation: (tensors) => affine.apply(kind, tensors, resets ? resetMaskOf(sizes) : undefined),
      reference: (values) => affineScanReference(kind, { ...(values as AffineValues), ...reset }, sizes),
      tolerance: 1e-5,
    });
  });

  it.each([true, false])('the e-LSTM follows its equations, with exact gradients: state and resets %o', (resets) => {
    const reset = resets ? { reset: lstm.resetsOf(LSTM) } : {};
    const { initialState, bias, ...inputs } = lstm.noiseInputs(LSTM);
    expectMatchesReference({
      inputs: { ...inputs, ...(resets ? { initialState: initialState!, bias: bias! } : {}) },
      operation: (tensors) => lstm.apply(tensors, resets ? lstm.resetMaskOf(LSTM) : undefined),
      reference: (values) => elementwiseLstmReference({ ...ZEROS, ...(values as never as LstmValues), ...reset }, LSTM),
      tolerance: 1e-5,
    });
  });

  it('learns in real time: sensitivities and gradients follow their equations, in pieces and with resets', () => {
    const given = lstm.rtrlCase(LSTM, { resets: true, fresh: false });
    const expected = elementwiseLstmRtrlReference(given, given.errors, given.sensitivities, LSTM);
    for (const pieces of [[7], [1, 4, 2]]) {
      for (const [index, values] of lstm.rtrl(given, pieces).entries()) {
        expectWithin(values, expected[index]!, 1e-5, `result ${index}`);
      }
    }
    expectWithin(lstm.rtrl(given, [7], false)[0]!, expected[0]!, 1e-5, 'without errors');
  });

  it('takes no steps, and leaves nothing allocated', () => {
    const step = () => {
      const inputs = affine.noiseInputs('diagonal', { ...AFFINE, time: 0 });
      const [states, finalState] = valuesAndGradients(inputs, (tensors) => affine.apply('diagonal', tensors));
      expect(states!.length).toBe(0);
      expect(finalState).toEqual(inputs['initialState']!.values);
      const cells = valuesAndGradients(lstm.noiseInputs({ ...LSTM, time: 0 }), (tensors) => lstm.apply(tensors));
      expect(cells[1]).toEqual(lstm.noiseInputs(LSTM)['initialState']!.values);
      valuesAndGradients(affine.noiseInputs('diagonal', AFFINE), (tensors) => affine.apply('diagonal', tensors));
      lstm.rtrl(lstm.rtrlCase(LSTM), [7]);
    };
    step();
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
