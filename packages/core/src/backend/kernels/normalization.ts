/** Layer norm and RMS norm over the last axis, with and without a residual, and their gradients. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { rowsOf } from './softmax.ts';

/**
 * Kernels of `layerNorm`, `addLayerNorm`, `rmsNorm` and `addRmsNorm`. `scale` is 1 / standard deviation of each row.
 *
 * | kernel             | inputs                                       | outputs             |
 * |--------------------|----------------------------------------------|---------------------|
 * | `FwpLayerNorm`     | x, gain, bias                                | y, mean, scale      |
 * | `FwpAddLayerNorm`  | x, residual, gain, bias                      | y, sum, mean, scale |
 * | `FwpLayerNormGrad` | x or sum, gain, mean, scale, dy, dsum or not | dx, dgain, dbias    |
 * | `FwpRmsNorm`       | x, gain                                      | y, scale            |
 * | `FwpAddRmsNorm`    | x, residual, gain                            | y, sum, scale       |
 * | `FwpRmsNormGrad`   | x or sum, gain, scale, dy, dsum or not       | dx, dgain           |
 */
export const normalizationKernels: KernelTable = {
  FwpLayerNorm: layerNorm,
  FwpAddLayerNorm: layerNorm,
  FwpLayerNormGrad: layerNormGrad,
  FwpRmsNorm: rmsNorm,
  FwpAddRmsNorm: rmsNorm,
  FwpRmsNormGrad: rmsNormGrad,
};

function layerNorm({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x, residual, gain, bias } = inputs as Record<'x' | 'gain' | 'bias', TensorInfo> & { residual?: TensorInfo };
  const [rows, n] = rowsOf(x);
  const at = offsets(backend);
  const shapes = residual ? [x.shape, x.shape, [rows], [rows]] : [x.shape, [rows], [rows]];
  return floatOutputs(backend, shapes, (to) => {
    const [y, sum, mean, scale] = (residual ? to : to.toSpliced(1, 0, 0)) as [number, number, number, number];
    backend.engine.run(
      'layer_norm',
      ...[at(x), at(residual), at(gain), at(bias), sum, y, mean, scale],
      ...[rows, n, attrs.epsilon],
    );
  });
}

function rmsNorm({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x, residual, gain } = inputs as Record<'x' | 'gain', TensorInfo> & { residual?: TensorInfo };
  const [rows, n] = rowsOf(x);
  const at = offsets(backend);
  const shapes = residual ? [x.shape, x.shape, [rows]] : [x.shape, [rows]];
  return floatOutputs(backend, shapes, (to) => {
    const [y, sum, scale] = (residual ? to : to.toSpliced(1, 0, 0)) as [number, number, number];
    backend.engine.run('rms_norm', at(x), at(residual), at(gain), sum, y, scale, rows, n, attrs.epsilon);
  });
}

function layerNormGrad({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, gain, mean, scale, dy, dsum } = inputs as Record<'x' | 'gain' | 'mean' | 'scale' | 'dy', TensorInfo> & {
    dsum?: TensorInfo;
  };
  const [rows, n] = rowsOf(x);
  const at = offsets(backend);
  const chunkRows = rowsPerChunk(rows, n);
  return floatOutputs(backend, [x.shape, gain.shape, gain.shape], (to) =>
    backend.withWorkspace(partialBytes(rows, n, chunkRows, 2), (partial) => {
      backend.engine.run(
        'layer_norm_grad',
        ...[at(x), at(gain), at(mean), at(scale), at(dy), at(dsum), ...to, partial],
        ...[rows, n, chunkRows],
      );
    }),
  );
}

function rmsNormGrad({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, gain, scale, dy, dsum } = inputs as Record<'x' | 'gain' | 'scale' | 'dy', TensorInfo> & {
    dsum?: TensorInfo;
  };
  const [rows, n] = rowsOf(x);
  const at = offsets(backend);
  const chunkRows = rowsPerChunk(rows, n);
  return floatOutputs(backend, [x.shape, gain.shape], (to) =>
    backend.withWorkspace(partialBytes(rows, n, chunkRows, 1), (partial) => {
      backend.engine.run(
        'rms_norm_grad',
        ...[at(x), at(gain), at(scale), at(dy), at(dsum), ...to, partial],
        ...[rows, n, chunkRows],
      );
    }),
  );
}

/** Byte offsets of tensors, 0 for absent ones. */
function offsets(backend: FwpBackend): (tensor: TensorInfo | undefined) => number {
  return (tensor) => (tensor === undefined ? 0 : backend.offsetOf(tensor));
}

/** Rows whose part of dgain and dbias is summed by one thread: some 20 µs of work, and at most 64 such parts. */
function rowsPerChunk(rows: number, n: number): number {
  return Math.max(1, Math.ceil(32768 / n), Math.ceil(rows / 64));
}

/** Work space for these parts: `sums` rows each, whose length is rounded up to whole vectors. */
function partialBytes(rows: number, n: number, chunkRows: number, sums: number): number {
  return Math.ceil(rows / chunkRows) * sums * Math.ceil(n / 16) * 64;
}
