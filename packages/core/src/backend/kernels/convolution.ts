/**
 * Two-dimensional convolutions of float32 images [batch, height, width, channels] and their gradients. Channels-first
 * data and other dtypes take the fallback, as do windows beyond the C kernels' limits.
 */

import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import { type Finish, type FinishArguments, withFinish, withFinishArguments } from '../fused-finish.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { FUSED_ACTIVATIONS, type FusedActivation, runMatMul } from '../matmul-plan.ts';
import { filled } from '../outputs.ts';

/** tfjs kernels of this family. */
export const convolutionKernels: KernelTable = {
  Conv2D: (call) => forward('Conv2D', call, (info) => convolve(call, info, {})),
  FusedConv2D: (call) =>
    forward('FusedConv2D', call, (info) =>
      withFinish(call, info.outChannels, (finish) => convolve(call, info, finish)),
    ),
  Conv2DBackpropInput: backpropInput,
  Conv2DBackpropFilter: backpropFilter,
};

type Info = backend_util.Conv2DInfo;

/** Attributes that all of these kernels have. */
interface WindowAttributes {
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computeConv2DInfo>[4];
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Taps that a filter may have: `CONV_TAPS` of `csrc/convolution.c`. */
const MAX_TAPS = 256;
/** Floats that one output's window may take of the C kernels' scratch memory. */
const MAX_WINDOW = 128 * 1024;
/** Most and fewest multiply-adds per slab of a filter's gradient, most slabs, and most floats in all slabs. */
const SLAB_PRODUCTS = 2e6;
const MAX_SLABS = 16;
const MAX_SLAB_FLOATS = 4e6;

function forward(kernelName: string, call: KernelCall, compute: (info: Info) => TensorInfo): TensorInfo | TensorInfo[] {
  const { x, filter, bias } = call.inputs as { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo | null };
  if (!areFloats(x, filter, bias)) return fallback(kernelName, call);
  const info = describe(x.shape, filter.shape, call.attrs as WindowAttributes);
  return isSupported(info) ? compute(info) : fallback(kernelName, call);
}

function convolve({ inputs, backend }: KernelCall, info: Info, finish: Finish): TensorInfo {
  const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo };
  const output = backend.makeOutput(info.outShape);
  return filled(backend, output, () =>
    withFinishArguments(backend, finish, info.outChannels, (args) =>
      runConvolution(backend, x, filter, output, info, args),
    ),
  );
}

function runConvolution(
  backend: FwpBackend,
  x: TensorInfo,
  filter: TensorInfo,
  output: TensorInfo,
  info: Info,
  [bias, activation, slope]: FinishArguments,
): void {
  const offsets = { a: backend.offsetOf(x), b: backend.offsetOf(filter), c: backend.offsetOf(output) };
  if (isPointwise(info)) {
    runMatMul(backend, {
      ...offsets,
      ...{ m: pixels(info), n: info.outChannels, k: info.inChannels, bias, slope },
      activation: FUSED_ACTIVATIONS[activation] as FusedActivation,
    });
    return;
  }
  const packed = info.filterHeight * info.filterWidth * info.inChannels * paddedWidth(info.outChannels);
  backend.withWorkspace(4 * packed, (workspace) => {
    backend.engine.run(
      'conv2d',
      ...[offsets.a, offsets.b, offsets.c, workspace],
      ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
      ...[info.strideHeight, info.strideWidth, info.dilationHeight, info.dilationWidth],
      ...[info.padInfo.top, info.padInfo.left, info.outHeight, info.outWidth, info.outChannels],
      ...[bias, activation, slope],
    );
  });
}

function backpropInput(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { dy, filter } = call.inputs as { dy: TensorInfo; filter: TensorInfo };
  const attrs = call.attrs as WindowAttributes & { inputShape: [number, number, number, number] };
  if (!areFloats(dy, filter)) return fallback('Conv2DBackpropInput', call);
  const info = describe(attrs.inputShape, filter.shape, { ...attrs, dilations: 1 });
  // tfjs takes a dy that is larger than the output, and reads its corner.
  if (!isSupported(info) || !util.arraysEqual(dy.shape, info.outShape)) return fallback('Conv2DBackpropInput', call);
  const dx = backend.makeOutput(info.inShape);
  return filled(backend, dx, () => {
    const offsets = { a: backend.offsetOf(dy), b: backend.offsetOf(filter), c: backend.offsetOf(dx) };
    if (isPointwise(info)) {
      const sizes = { m: pixels(info), n: info.inChannels, k: info.outChannels };
      runMatMul(backend, { ...offsets, ...sizes, transposeB: true });
      return;
    }
    const packed = info.filterHeight * info.filterWidth * info.outChannels * paddedWidth(info.inChannels);
    backend.withWorkspace(4 * packed, (workspace) => {
      backend.engine.run(
        'conv2d_backprop_input',
        ...[offsets.a, offsets.b, offsets.c, workspace],
        ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.filterHeight, info.filterWidth],
        ...[info.strideHeight, info.strideWidth, info.padInfo.top, info.padInfo.left],
        ...[info.outHeight, info.outWidth, info.outChannels],
      );
    });
  });
}

function backpropFilter(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { x, dy } = call.inputs as { x: TensorInfo; dy: TensorInfo };
  const attrs = call.attrs as WindowAttributes & { filterShape: [number, number, number, number] };
  if (!areFloats(x, dy)) return fallback('Conv2DBackpropFilter', call);
  const info = describe(x.shape, attrs.filterShape, { ...attrs, dilations: 1 });
  if (!isSupported(info) || !util.arraysEqual(dy.shape, info.outShape)) return fallback('Conv2DBackpropFilter', call);
  const dFilter = backend.makeOutput(info.filterShape);
  return filled(backend, dFilter, () => {
    const size = util.sizeFromShape(info.filterShape);
    const slabs = slabCount(info, size);
    // A pointwise filter sees the pixels of all images as one row.
    const pointwise = isPointwise(info);
    const [images, height, width] = pointwise ? [1, 1, pixels(info)] : [info.batchSize, info.inHeight, info.inWidth];
    const [outHeight, outWidth] = pointwise ? [1, width] : [info.outHeight, info.outWidth];
    backend.withWorkspace(slabs > 1 ? 4 * slabs * size : 0, (workspace) => {
      backend.engine.run(
        'conv2d_backprop_filter',
        ...[backend.offsetOf(x), backend.offsetOf(dy), backend.offsetOf(dFilter), workspace, slabs],
        ...[images, height, width, info.inChannels, info.filterHeight, info.filterWidth],
        ...[info.strideHeight, info.strideWidth, info.padInfo.top, info.padInfo.left],
        ...[outHeight, outWidth, info.outChannels],
      );
    });
  });
}

/** Into how many independent sums the pixels are divided: by the sizes alone, so that threads do not change the result. */
function slabCount(info: Info, filterSize: number): number {
  const products = pixels(info) * filterSize;
  const wanted = Math.floor(products / (info.filterHeight * SLAB_PRODUCTS));
  const affordable = Math.floor(MAX_SLAB_FLOATS / Math.max(filterSize, 1));
  return Math.max(1, Math.min(MAX_SLABS, wanted, affordable));
}

function describe(inputShape: number[], filterShape: number[], attrs: WindowAttributes): Info {
  return backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    false,
    backend_util.convertConv2DDataFormat(attrs.dataFormat ?? 'NHWC'),
  );
}

function isSupported(info: Info): boolean {
  const { effectiveFilterHeight, effectiveFilterWidth, inChannels, outChannels } = info;
  const widest = Math.max(inChannels, outChannels);
  const window = effectiveFilterHeight * (effectiveFilterWidth + info.strideWidth) * widest + widest;
  return (
    info.dataFormat === 'channelsLast' &&
    info.outHeight > 0 &&
    info.outWidth > 0 &&
    info.filterHeight * info.filterWidth <= MAX_TAPS &&
    window <= MAX_WINDOW
  );
}

/** Whether every output is the product of one pixel: the convolution is a matrix product as it stands. */
function isPointwise(info: Info): boolean {
  const { top, left } = info.padInfo;
  return (
    info.filterHeight === 1 &&
    info.filterWidth === 1 &&
    info.strideHeight === 1 &&
    info.strideWidth === 1 &&
    top === 0 &&
    left === 0 &&
    info.outHeight === info.inHeight &&
    info.outWidth === info.inWidth
  );
}

/** Number of output pixels of all images. */
function pixels(info: Info): number {
  return info.batchSize * info.outHeight * info.outWidth;
}

/** Columns of a packed filter: whole vectors of the widest instruction set. */
function paddedWidth(columns: number): number {
  return Math.ceil(columns / 16) * 16;
}

function areFloats(...tensors: (TensorInfo | null | undefined)[]): boolean {
  return tensors.every((tensor) => !tensor || tensor.dtype === 'float32');
}
