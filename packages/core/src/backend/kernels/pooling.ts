/** Maximum and average pooling of float32 images [batch, height, width, channels], and their gradients. */

import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { filled } from '../outputs.ts';

/** tfjs kernels of this family. */
export const poolingKernels: KernelTable = {
  MaxPool: (call) => pool('MaxPool', call, false),
  AvgPool: (call) => pool('AvgPool', call, true),
  MaxPoolGrad: (call) => poolGradient('MaxPoolGrad', call, false),
  AvgPoolGrad: (call) => poolGradient('AvgPoolGrad', call, true),
};

type Info = backend_util.Conv2DInfo;

interface WindowAttributes {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computePool2DInfo>[4];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

function pool(kernelName: string, call: KernelCall, mean: boolean): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { x } = call.inputs as { x: TensorInfo };
  if (x.dtype !== 'float32') return fallback(kernelName, call);
  const info = describe(x, call.attrs as WindowAttributes);
  if (info.outHeight <= 0 || info.outWidth <= 0) return fallback(kernelName, call);
  if (info.filterHeight === 1 && info.filterWidth === 1 && util.arraysEqual(info.inShape, info.outShape)) {
    return backend.alias(x, x.shape);
  }
  const output = backend.makeOutput(info.outShape);
  return filled(backend, output, () => {
    backend.engine.run('pool2d', backend.offsetOf(x), backend.offsetOf(output), ...sizes(info), mean ? 1 : 0);
  });
}

function poolGradient(kernelName: string, call: KernelCall, mean: boolean): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { dy, input } = call.inputs as { dy: TensorInfo; input: TensorInfo };
  if (dy.dtype !== 'float32' || input.dtype !== 'float32') return fallback(kernelName, call);
  const info = describe(input, call.attrs as WindowAttributes);
  if (info.outHeight <= 0 || info.outWidth <= 0) return fallback(kernelName, call);
  const dx = backend.makeOutput(info.inShape);
  return filled(backend, dx, () => {
    const offsets = [backend.offsetOf(dy), backend.offsetOf(input), backend.offsetOf(dx)];
    backend.engine.run('pool2d_gradient', ...offsets, ...sizes(info), mean ? 1 : 0);
  });
}

function describe(x: TensorInfo, { filterSize, strides, pad, dimRoundingMode }: WindowAttributes): Info {
  const shape = x.shape as [number, number, number, number];
  return backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
}

/** Sizes in the order of the C kernels' arguments. */
function sizes(info: Info): number[] {
  return [
    ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
    ...[info.strideHeight, info.strideWidth, info.padInfo.top, info.padInfo.left, info.outHeight, info.outWidth],
  ];
}
