/**
 * Depthwise convolutions of float32 images [batch, height, width, channels] with one filter per channel, and their
 * gradients. More than one filter per channel, other dtypes and very large windows take the fallback.
 */

import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { fallback } from '../fallback.ts';
import { type Finish, withFinish, withFinishArguments } from '../fused-finish.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { filled } from '../outputs.ts';

/** tfjs kernels of this family. */
export const depthwiseKernels: KernelTable = {
  DepthwiseConv2dNative: (call) => forward('DepthwiseConv2dNative', call, (info) => convolve(call, info, {})),
  FusedDepthwiseConv2D: (call) =>
    forward('FusedDepthwiseConv2D', call, (info) =>
      withFinish(call, info.outChannels, (finish) => convolve(call, info, finish)),
    ),
  DepthwiseConv2dNativeBackpropInput: backpropInput,
  DepthwiseConv2dNativeBackpropFilter: backpropFilter,
};

type Info = backend_util.Conv2DInfo;

/** Attributes that all of these kernels have. */
interface WindowAttributes {
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computeConv2DInfo>[4];
  readonly dilations?: [number, number] | number | null;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Taps that a filter may have: `DEPTHWISE_TAPS` of `csrc/depthwise.c`. */
const MAX_TAPS = 256;
/** Multiply-adds per slab of a filter's gradient, and most slabs. */
const SLAB_PRODUCTS = 5e5;
const MAX_SLABS = 16;

function forward(kernelName: string, call: KernelCall, compute: (info: Info) => TensorInfo): TensorInfo | TensorInfo[] {
  const { x, filter, bias } = call.inputs as { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo | null };
  if (!areFloats(x, filter, bias)) return fallback(kernelName, call);
  const attrs = call.attrs as WindowAttributes;
  util.assert(
    backend_util.eitherStridesOrDilationsAreOne(attrs.strides, attrs.dilations ?? 1),
    () =>
      'Error in depthwiseConv2d: Either strides or dilations must be 1. ' +
      `Got strides ${attrs.strides} and dilations '${attrs.dilations}'`,
  );
  const info = describe(x.shape, filter.shape, attrs);
  return isSupported(info) ? compute(info) : fallback(kernelName, call);
}

function convolve({ inputs, backend }: KernelCall, info: Info, finish: Finish): TensorInfo {
  const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo };
  const output = backend.makeOutput(info.outShape);
  return filled(backend, output, () =>
    withFinishArguments(backend, finish, info.outChannels, (args) => {
      backend.engine.run(
        'depthwise_conv2d',
        ...[backend.offsetOf(x), backend.offsetOf(filter), backend.offsetOf(output)],
        ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
        ...[info.strideHeight, info.strideWidth, info.dilationHeight, info.dilationWidth],
        ...[info.padInfo.top, info.padInfo.left, info.outHeight, info.outWidth],
        ...args,
      );
    }),
  );
}

function backpropInput(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { dy, filter } = call.inputs as { dy: TensorInfo; filter: TensorInfo };
  const attrs = call.attrs as WindowAttributes & { inputShape: number[] };
  if (!areFloats(dy, filter)) return fallback('DepthwiseConv2dNativeBackpropInput', call);
  const info = describe(attrs.inputShape, filter.shape, attrs);
  if (!isSupported(info) || isDilated(info)) return fallback('DepthwiseConv2dNativeBackpropInput', call);
  const dx = backend.makeOutput(info.inShape);
  return filled(backend, dx, () => {
    backend.engine.run(
      'depthwise_conv2d_backprop_input',
      ...[backend.offsetOf(dy), backend.offsetOf(filter), backend.offsetOf(dx)],
      ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
      ...[info.strideHeight, info.strideWidth, info.padInfo.top, info.padInfo.left, info.outHeight, info.outWidth],
    );
  });
}

function backpropFilter(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { x, dy } = call.inputs as { x: TensorInfo; dy: TensorInfo };
  const attrs = call.attrs as WindowAttributes & { filterShape: number[] };
  if (!areFloats(x, dy)) return fallback('DepthwiseConv2dNativeBackpropFilter', call);
  const info = describe(x.shape, attrs.filterShape, attrs);
  if (!isSupported(info) || isDilated(info)) return fallback('DepthwiseConv2dNativeBackpropFilter', call);
  const dFilter = backend.makeOutput(info.filterShape);
  return filled(backend, dFilter, () => {
    const size = util.sizeFromShape(info.filterShape);
    const rows = info.batchSize * info.outHeight;
    const products = rows * info.outWidth * size;
    const slabs = Math.max(1, Math.min(MAX_SLABS, rows, Math.floor(products / SLAB_PRODUCTS)));
    backend.withWorkspace(4 * slabs * size, (workspace) => {
      backend.engine.run(
        'depthwise_conv2d_backprop_filter',
        ...[backend.offsetOf(x), backend.offsetOf(dy), backend.offsetOf(dFilter), workspace, slabs],
        ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
        ...[info.strideHeight, info.strideWidth, info.padInfo.top, info.padInfo.left, info.outHeight, info.outWidth],
      );
    });
  });
}

function describe(inputShape: number[], filterShape: number[], attrs: WindowAttributes): Info {
  return backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    true,
  );
}

function isSupported(info: Info): boolean {
  return (
    info.outChannels === info.inChannels &&
    info.outHeight > 0 &&
    info.outWidth > 0 &&
    info.filterHeight * info.filterWidth <= MAX_TAPS
  );
}

function isDilated(info: Info): boolean {
  return info.dilationHeight !== 1 || info.dilationWidth !== 1;
}

function areFloats(...tensors: (TensorInfo | null | undefined)[]): boolean {
  return tensors.every((tensor) => !tensor || tensor.dtype === 'float32');
}
