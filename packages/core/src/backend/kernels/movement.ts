/** Data movement: transpose, slices, concatenation, padding, tiling, reversal, and reshapes that copy nothing. */

import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { allOrNothing } from '../outputs.ts';
import { CopyAxes, copyOf, sizeOf, stridedCopy, stridesOf } from '../strided-copy.ts';

/** Number of axes that the C kernel for padding takes. */
const PAD_AXES = 6;

/** tfjs kernels of this family. */
export const movementKernels: KernelTable = {
  Identity: ({ inputs, backend }) => backend.alias(inputs.x, inputs.x.shape),
  Reshape: reshape,
  ExpandDims: expandDims,
  Transpose: transpose,
  Slice: slice,
  StridedSlice: stridedSlice,
  SplitV: splitV,
  Unpack: unpack,
  Concat: concat,
  Pack: pack,
  Tile: tile,
  BroadcastTo: broadcastTo,
  Reverse: reverse,
  PadV2: padV2,
  MirrorPad: mirrorPad,
};

/** Whether a tensor is one block of the heap (not a string or complex tensor). */
function inHeap(x: TensorInfo): boolean {
  return x.dtype === 'float32' || x.dtype === 'int32' || x.dtype === 'bool';
}

// ---- no copy ---------------------------------------------------------------------------------------

function reshape({ inputs, attrs, backend }: KernelCall): TensorInfo {
  const x = inputs.x as TensorInfo;
  const size = sizeOf(x.shape);
  const shape = util.inferFromImplicitShape(attrs.shape, size);
  const newSize = sizeOf(shape);
  util.assert(
    size === newSize,
    () =>
      `The new shape (${shape}) has ${newSize} elements and the old shape (${x.shape}) has ${size} elements. ` +
      'The new shape and old shape must have the same number of elements.',
  );
  return backend.alias(x, shape);
}

function expandDims({ inputs, attrs, backend }: KernelCall): TensorInfo {
  const input = inputs.input as TensorInfo;
  const rank = input.shape.length;
  const dim = attrs.dim as number;
  util.assert(-(rank + 1) <= dim, () => `Axis must be in the interval [${-(rank + 1)}, ${rank}]`);
  const shape = input.shape.slice();
  shape.splice(dim < 0 ? rank + dim + 1 : dim, 0, 1);
  return backend.alias(input, shape);
}

// ---- permutations ----------------------------------------------------------------------------------

function transpose(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const perm = attrs.perm as number[];
  util.assert(new Set(perm).size === x.shape.length, () => `Error in transpose: perm [${perm}] names an axis twice.`);
  const shape = perm.map((axis) => x.shape[axis] as number);
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  const axes = new CopyAxes();
  for (let d = 0; d < perm.length; d++) {
    axes.add(shape[d] as number, from[perm[d] as number] as number, to[d] as number);
  }
  if (!inHeap(x) || !axes.supported) return fallback('Transpose', call);
  return copyOf(backend, x, shape, axes);
}

function reverse(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const reversed = new Set(util.parseAxisParam(attrs.dims, x.shape));
  const strides = stridesOf(x.shape);
  const axes = new CopyAxes();
  let offset = 0;
  x.shape.forEach((size, d) => {
    const stride = strides[d] as number;
    if (reversed.has(d) && size > 0) offset += (size - 1) * stride;
    axes.add(size, reversed.has(d) ? -stride : stride, stride);
  });
  if (!inHeap(x) || !axes.supported) return fallback('Reverse', call);
  return copyOf(backend, x, x.shape, axes, offset);
}

// ---- parts of a tensor -----------------------------------------------------------------------------

/** The block of `x` that starts at `begin` and has the shape `size`, as a tensor of shape `shape`. */
function block(backend: FwpBackend, x: TensorInfo, begin: number[], size: number[], shape: number[]): TensorInfo {
  const from = stridesOf(x.shape);
  const to = stridesOf(size);
  const axes = new CopyAxes();
  let offset = 0;
  for (let d = 0; d < size.length; d++) {
    offset += (begin[d] as number) * (from[d] as number);
    axes.add(size[d] as number, from[d] as number, to[d] as number);
  }
  return copyOf(backend, x, shape, axes, offset);
}

function slice(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  if (!inHeap(x) || x.shape.length > 8) return fallback('Slice', call);
  const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
  slice_util.assertParamsValid(x as never, begin, size);
  return block(backend, x, begin, size, size);
}

function stridedSlice(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  if (!inHeap(x) || x.shape.length > 8) return fallback('StridedSlice', call);
  const info = slice_util.sliceInfo(
    x.shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
  if (info.isIdentity) return backend.alias(x, info.finalShape);
  // Extents before axes are dropped (shrinkAxisMask) or added (newAxisMask), neither of which moves data.
  const sizes = x.shape.map((_, d) =>
    Math.max(0, Math.ceil(((info.end[d] as number) - (info.begin[d] as number)) / (info.strides[d] as number))),
  );
  const from = stridesOf(x.shape);
  const to = stridesOf(sizes);
  const axes = new CopyAxes();
  let offset = 0;
  for (let d = 0; d < sizes.length; d++) {
    offset += (info.begin[d] as number) * (from[d] as number);
    axes.add(sizes[d] as number, (from[d] as number) * (info.strides[d] as number), to[d] as number);
  }
  return copyOf(backend, x, info.finalShape, axes, offset);
}

function splitV(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  if (!inHeap(x) || x.shape.length > 8) return fallback('SplitV', call);
  const axis = util.parseAxisParam(attrs.axis, x.shape)[0] as number;
  const begin = new Array<number>(x.shape.length).fill(0);
  const makers = backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis).map((extent) => () => {
    const size = x.shape.slice();
    size[axis] = extent;
    const part = block(backend, x, begin, size, size);
    begin[axis] = (begin[axis] as number) + extent;
    return part;
  });
  return allOrNothing(backend, makers);
}

function unpack(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const value = inputs.value as TensorInfo;
  const rank = value.shape.length;
  if (!inHeap(value) || rank > 8) return fallback('Unpack', call);
  const axis = attrs.axis < 0 ? attrs.axis + rank : attrs.axis;
  const begin = new Array<number>(rank).fill(0);
  const size = value.shape.slice();
  size[axis] = 1;
  const shape = value.shape.filter((_, d) => d !== axis);
  const makers = Array.from({ length: value.shape[axis] as number }, (_, i) => () => {
    begin[axis] = i;
    return block(backend, value, begin, size, shape.slice());
  });
  return allOrNothing(backend, makers);
}

// ---- joining ---------------------------------------------------------------------------------------

function concat(call: KernelCall): TensorInfo | TensorInfo[] {
  const { attrs, backend } = call;
  const inputs = call.inputs as TensorInfo[];
  const first = inputs[0] as TensorInfo;
  if (!inputs.every((x) => inHeap(x) && x.dtype === first.dtype)) return fallback('Concat', call);
  const axis = util.parseAxisParam(attrs.axis, first.shape)[0] as number;
  const shapes = inputs.map((x) => x.shape);
  backend_util.assertParamsConsistent(shapes, axis);
  const parts = inputs.filter((x) => sizeOf(x.shape) > 0);
  const shape = backend_util.computeOutShape(shapes, axis);
  if (parts.length === 1) return backend.alias(parts[0] as TensorInfo, shape);
  return join(backend, parts, axis, shape, first);
}

function pack(call: KernelCall): TensorInfo | TensorInfo[] {
  const { attrs, backend } = call;
  const inputs = call.inputs as TensorInfo[];
  const first = inputs[0] as TensorInfo;
  for (const x of inputs) {
    util.assertShapesMatch(first.shape, x.shape, 'All tensors passed to stack must have matching shapes');
    util.assert(first.dtype === x.dtype, () => 'All tensors passed to stack must have matching dtypes');
  }
  if (!inputs.every(inHeap)) return fallback('Pack', call);
  const axis = attrs.axis < 0 ? attrs.axis + first.shape.length + 1 : attrs.axis;
  const shape = first.shape.slice();
  shape.splice(axis, 0, inputs.length);
  if (inputs.length === 1) return backend.alias(first, shape);
  return join(backend, inputs, axis, shape, first);
}

/** Puts tensors side by side along `axis` of the result; axes from `axis` on are one run of each. */
function join(backend: FwpBackend, parts: TensorInfo[], axis: number, shape: number[], like: TensorInfo): TensorInfo {
  const y = backend.makeOutput(shape, like.dtype);
  const outer = sizeOf(shape.slice(0, axis));
  if (outer === 0) return y;
  const total = sizeOf(shape.slice(axis));
  let offset = 0;
  for (const x of parts) {
    const run = sizeOf(x.shape) / outer;
    const axes = new CopyAxes();
    axes.add(outer, run, total);
    axes.add(run, 1, 1);
    stridedCopy(backend, x, y, axes, 0, offset);
    offset += run;
  }
  return y;
}

// ---- repetition ------------------------------------------------------------------------------------

function tile(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const reps = attrs.reps as number[];
  const shape = x.shape.map((size, d) => size * (reps[d] as number));
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  const axes = new CopyAxes();
  x.shape.forEach((size, d) => {
    axes.add(reps[d] as number, 0, (to[d] as number) * size);
    axes.add(size, from[d] as number, to[d] as number);
  });
  if (!inHeap(x) || !axes.supported) return fallback('Tile', call);
  return copyOf(backend, x, shape, axes);
}

function broadcastTo(call: KernelCall): TensorInfo {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const shape = attrs.shape as number[];
  const extra = shape.length - x.shape.length;
  const compatible = extra >= 0 && x.shape.every((size, d) => size === 1 || size === shape[d + extra]);
  util.assert(
    inHeap(x) && compatible,
    () => `broadcastTo(): [${x.shape}] ${x.dtype} cannot be broadcast to [${shape}].`,
  );
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  const axes = new CopyAxes();
  shape.forEach((size, d) => {
    const repeated = d < extra || x.shape[d - extra] === 1;
    axes.add(size, repeated ? 0 : (from[d - extra] as number), to[d] as number);
  });
  return copyOf(backend, x, shape.slice(), axes);
}

// ---- padding ---------------------------------------------------------------------------------------

function padV2(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const paddings = attrs.paddings as [number, number][];
  // Axes without padding at the end belong to the run of the last axis that has some.
  const folded = x.shape.map((size, d) => ({ size, before: paddings[d]![0], after: paddings[d]![1] }));
  while (folded.length > 1 && folded.at(-1)!.before === 0 && folded.at(-1)!.after === 0) {
    const run = folded.pop()!.size;
    const axis = folded.at(-1)!;
    folded.splice(-1, 1, { size: axis.size * run, before: axis.before * run, after: axis.after * run });
  }
  if (!inHeap(x) || folded.length > PAD_AXES) return fallback('PadV2', call);
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return backend.alias(x, x.shape);
  const value = x.dtype === 'int32' ? attrs.constantValue | 0 : Number(attrs.constantValue);
  return runPad(backend, x, paddings, folded, 0, value);
}

function mirrorPad(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const paddings = attrs.paddings as [number, number][];
  if (!inHeap(x) || x.shape.length > PAD_AXES || sizeOf(x.shape) === 0) return fallback('MirrorPad', call);
  const axes = x.shape.map((size, d) => ({ size, before: paddings[d]![0], after: paddings[d]![1] }));
  return runPad(backend, x, paddings, axes, attrs.mode === 'reflect' ? 1 : 2, 0);
}

/** Calls the C kernel; `mode` is 0 for a constant frame, 1 for `reflect`, 2 for `symmetric`. */
function runPad(
  backend: FwpBackend,
  x: TensorInfo,
  paddings: [number, number][],
  axes: { size: number; before: number; after: number }[],
  mode: number,
  value: number,
): TensorInfo {
  const shape = x.shape.map((size, d) => paddings[d]![0] + size + paddings[d]![1]);
  const y = backend.makeOutput(shape, x.dtype);
  const kind = x.dtype === 'float32' ? 4 : x.dtype === 'int32' ? -4 : 1;
  const padding = new Array<number>(PAD_AXES - axes.length);
  backend.engine.run(
    'pad',
    backend.offsetOf(x),
    backend.offsetOf(y),
    kind,
    mode,
    value,
    ...padding.fill(1),
    ...axes.map(({ size }) => size),
    ...padding.fill(0),
    ...axes.map(({ before }) => before),
    ...padding,
    ...axes.map(({ after }) => after),
  );
  return y;
}
