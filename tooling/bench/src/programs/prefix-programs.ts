/** Prefixes: exclusive ones of chunks under a learned function, and states that linear maps carry on. */

import { affineScan, type PrefixScanMode, prefixScan, RandomStream } from '@fwp/core';
import { TransformerAggregator } from '@fwp/psm';
import * as tf from '@tensorflow/tfjs-core';
import { forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';

/** Only ours: no peer has such a scan. */
export const prefixPrograms: ProgramTable = {
  'prefix tree': (parameters) => {
    const [chunks, chunkSize, size, heads] = ['chunks', 'chunkSize', 'size', 'heads'].map((name) =>
      numberOf(parameters, name),
    ) as [number, number, number, number];
    const mode = String(parameters['mode']) as PrefixScanMode;
    const aggregator = new TransformerAggregator({ chunkSize, size, heads, random: new RandomStream(1) });
    const combine = (earlier: tf.Tensor, later: tf.Tensor): tf.Tensor =>
      aggregator.combine(earlier as tf.Tensor3D, later as tf.Tensor3D);
    const elements = uniformTensor([1, chunks, chunkSize, size], 2);
    const program = forward([elements], () => prefixScan(combine, elements, { exclusive: true, mode }));
    return {
      ...program,
      dispose: () => {
        program.dispose();
        aggregator.dispose();
      },
    };
  },
  'affine scan': (parameters) => {
    const shape = ['batch', 'time', 'columns'].map((name) => numberOf(parameters, name));
    const [transition, input] = [uniformTensor(shape, 1), uniformTensor(shape, 2)];
    return forward([transition, input], () => tf.tidy(() => affineScan('elementwise', { transition, input }).states));
  },
};
