/** What kernels declare has to be on every adapter; no GPU is needed to see that. */

import { describe, expect, it } from 'vitest';
import { affineScanMatrix } from '../../src/webgpu/kernels/affine-scan-matrix.ts';
import { deltaRnn, MAX_DELTA_RNN_DIM } from '../../src/webgpu/kernels/delta-rnn.ts';
import { deltaRnnGradient } from '../../src/webgpu/kernels/delta-rnn-gradient.ts';
import { lstm } from '../../src/webgpu/kernels/lstm.ts';
import { lstmGradient } from '../../src/webgpu/kernels/lstm-gradient.ts';
import { MAX_RECURRENT_DELTA_DIM, recurrentDelta } from '../../src/webgpu/kernels/recurrent-delta.ts';
import { recurrentDeltaGradient } from '../../src/webgpu/kernels/recurrent-delta-gradient.ts';
import { scanChunkStateGradients } from '../../src/webgpu/kernels/scan-chunk-state-gradients.ts';
import { scanChunkStates } from '../../src/webgpu/kernels/scan-chunk-states.ts';
import { chunkBytes } from '../../src/webgpu/kernels/scan-chunks.ts';
import { MAX_SELF_REFERENTIAL_DIM, selfReferential } from '../../src/webgpu/kernels/self-referential.ts';
import { selfReferentialGradient } from '../../src/webgpu/kernels/self-referential-gradient.ts';
import type { Constants, WgslKernel } from '../../src/webgpu/program.ts';

/** Bytes of workgroup memory, storage buffers and invocations that every adapter has. */
const [BYTES, BUFFERS, INVOCATIONS] = [16384, 8, 256];
const SIZES = Array.from({ length: 64 }, (_, i) => i + 1);

/** Bytes of the arrays that code declares. */
function workgroupBytes(code: string): number {
  let bytes = 0;
  for (const [, type, length] of code.matchAll(/var<workgroup> \w+: array<(\w+), (\d+)>/g)) {
    bytes += Number(length) * (type === 'vec4f' ? 16 : 4);
  }
  return bytes;
}

/** `without` are tensors that are never given together with all others. */
function expectToFit(kernel: WgslKernel, constants: Constants, without: readonly string[] = []): void {
  const code = kernel.code(constants, (tensor) => !without.includes(tensor));
  const bytes = workgroupBytes(code);
  const lanes = Number(/@workgroup_size\((\d+)\)/.exec(code)?.[1]);
  const name = `${kernel.name} ${JSON.stringify(constants)}`;
  // One number more, such as a rate.
  expect(bytes + 4, name).toBeLessThanOrEqual(BYTES);
  expect(bytes, name).toBeGreaterThan(0);
  expect(lanes, name).toBeLessThanOrEqual(INVOCATIONS);
  const tensors = Object.keys(kernel.storage(constants)).filter((tensor) => !without.includes(tensor));
  expect(tensors.length, name).toBeLessThanOrEqual(BUFFERS);
}

describe('workgroups of scans', () => {
  it('fit every adapter: heads of all sizes', () => {
    for (const size of SIZES) {
      for (const other of [1, 7, size, 64]) {
        for (const [keyDim, valueDim] of [
          [size, other],
          [other, size],
        ]) {
          expectToFit(recurrentDelta, { keyDim: keyDim!, valueDim: valueDim! });
          expectToFit(recurrentDeltaGradient, { keyDim: keyDim!, valueDim: valueDim! });
          expectToFit(selfReferential, { dim: keyDim!, outputDim: valueDim! });
          expectToFit(selfReferentialGradient, { dim: keyDim!, outputDim: valueDim! });
        }
      }
      for (const gates of [1, 3]) {
        const constants = { dim: size, gates, version: gates === 1 ? 0 : 3 };
        expectToFit(deltaRnn, constants);
        expectToFit(deltaRnnGradient, constants);
      }
    }
    expect([MAX_RECURRENT_DELTA_DIM, MAX_DELTA_RNN_DIM, MAX_SELF_REFERENTIAL_DIM]).toEqual([64, 64, 64]);
  });

  it('fit every adapter: chunks of fast-weight scans, with keys of up to 64, and are counted rightly where they are longer', () => {
    for (const keyDim of [...SIZES, 100, 128]) {
      const constants = { rule: 'delta', keyDim, decays: true, before: false };
      for (const kernel of [scanChunkStates, scanChunkStateGradients]) {
        if (keyDim <= 64) expectToFit(kernel, constants, ['boundaries', 'decay']);
        expect(workgroupBytes(kernel.code(constants, () => true)), `${kernel.name} ${keyDim}`).toBe(chunkBytes(keyDim));
      }
    }
  });

  it('fit every adapter: units of an LSTM', () => {
    for (const lanes of [32, 256]) {
      expectToFit(lstm, { lanes });
      expectToFit(lstmGradient, { lanes });
    }
  });

  it('fit every adapter: matrices that carry a state on', () => {
    expectToFit(affineScanMatrix, { columns: 256, backward: true });
  });
});
