/** Kernels of tfjs's WebGPU backend that cannot do what their operations promise, made whole. */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { clear } from './kernel-table.ts';
import { TO_FLOAT_GRAIN, toFloat } from './kernels/to-float.ts';
import { runKernel } from './program.ts';

/** Most dimensions that tfjs's `Select` and `PadV2` take. */
const MAX_RANK = 4;

/** Replaces them; to be called once, after tfjs's were registered. */
export function repairTfjsKernels(): void {
  repair(tf.Select, (kernel) => (call) => {
    const { condition, t, e } = call.inputs as Record<'condition' | 't' | 'e', tf.TensorInfo>;
    if (t.shape.length <= MAX_RANK || condition.shape.length !== t.shape.length) return kernel(call);
    const flat = ({ dataId, dtype, shape }: tf.TensorInfo) => ({
      dataId,
      dtype,
      shape: [tf.util.sizeFromShape(shape)],
    });
    const selected = kernel({ ...call, inputs: { condition: flat(condition), t: flat(t), e: flat(e) } });
    return { ...(selected as tf.TensorInfo), shape: t.shape };
  });
  // tfjs's gives integers another name, of which its own programs know, but not ours.
  repair(tf.Cast, (kernel) => (call) => {
    const x = call.inputs['x'] as tf.TensorInfo;
    const { dtype } = call.attrs as unknown as { dtype: tf.DataType };
    const isInteger = x.dtype === 'int32' || x.dtype === 'bool';
    return dtype === 'float32' && isInteger ? floatsOf(call.backend as WebGpuBackend, x) : kernel(call);
  });
  repair(tf.BatchMatMul, (kernel) => (call) => {
    const { a, b } = call.inputs as Record<'a' | 'b', tf.TensorInfo>;
    if (!isEmpty(a) && !isEmpty(b)) return kernel(call);
    const { transposeA, transposeB } = call.attrs as unknown as { transposeA: boolean; transposeB: boolean };
    const batch = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const [rows, columns] = [a.shape.at(transposeA ? -1 : -2), b.shape.at(transposeB ? -2 : -1)] as [number, number];
    return zeros(call.backend as WebGpuBackend, [...batch, rows, columns], a.dtype);
  });
  repair(tf.Sum, (kernel) => (call) => {
    const x = call.inputs['x'] as tf.TensorInfo;
    if (!isEmpty(x)) return kernel(call);
    const { axis, keepDims } = call.attrs as unknown as { axis: number | number[]; keepDims: boolean };
    const axes = tf.util.parseAxisParam(axis, x.shape);
    const [kept] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return zeros(call.backend as WebGpuBackend, shape, x.dtype);
  });
  repair(tf.PadV2, (kernel) => (call) => {
    const x = call.inputs['x'] as tf.TensorInfo;
    const { paddings, constantValue } = call.attrs as unknown as { paddings: Padding[]; constantValue: number };
    if (x.shape.length <= MAX_RANK) return kernel(call);
    const merged = mergeUnpadded(x.shape, paddings);
    const attrs = { paddings: merged.paddings, constantValue } as unknown as tf.NamedAttrMap;
    const padded = kernel({ ...call, inputs: { x: { ...x, shape: merged.shape } }, attrs });
    const shape = x.shape.map((extent, axis) => extent + (paddings[axis]?.[0] ?? 0) + (paddings[axis]?.[1] ?? 0));
    return { ...(padded as tf.TensorInfo), shape };
  });
}

function isEmpty({ shape }: tf.TensorInfo): boolean {
  return shape.includes(0);
}

/** Integers, or false and true, as float32. */
function floatsOf(backend: WebGpuBackend, x: tf.TensorInfo): tf.TensorInfo {
  const { values } = backend.tensorMap.get(x.dataId);
  if (values != null) return backend.makeTensorInfo(x.shape, 'float32', Float32Array.from(values as Int32Array));
  const size = tf.util.sizeFromShape(x.shape);
  const y = backend.makeOutput(x.shape, 'float32');
  runKernel(backend, toFloat, {
    tensors: { x, y },
    parameters: { size },
    groups: Math.ceil(size / TO_FLOAT_GRAIN),
  });
  return y;
}

/** What products and sums of nothing are. */
function zeros(backend: WebGpuBackend, shape: number[], dtype: tf.DataType): tf.TensorInfo {
  const result = backend.makeOutput(shape, dtype);
  clear(backend, [result]);
  return result;
}

type Padding = [before: number, after: number];

/** The same padding of fewer dimensions: those without any become one with the dimension before them. */
function mergeUnpadded(
  shape: readonly number[],
  paddings: readonly Padding[],
): { shape: number[]; paddings: Padding[] } {
  const merged: { shape: number[]; paddings: Padding[] } = { shape: [], paddings: [] };
  for (const [axis, extent] of shape.entries()) {
    const [before, after] = paddings[axis] as Padding;
    const last = merged.shape.length - 1;
    if (before === 0 && after === 0 && last >= 0) {
      const [b, a] = merged.paddings[last] as Padding;
      merged.shape[last] = (merged.shape[last] as number) * extent;
      merged.paddings[last] = [b * extent, a * extent];
    } else {
      merged.shape.push(extent);
      merged.paddings.push([before, after]);
    }
  }
  return merged;
}

function repair(kernelName: string, wrap: (kernel: tf.KernelFunc) => tf.KernelFunc): void {
  const found = tf.getKernel(kernelName, 'webgpu');
  if (found === undefined) return;
  tf.unregisterKernel(kernelName, 'webgpu');
  tf.registerKernel({ ...found, kernelFunc: wrap(found.kernelFunc) });
}
