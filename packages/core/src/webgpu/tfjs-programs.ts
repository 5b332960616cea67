/** Programs of tfjs's WebGPU backend, as they are put into the stream of commands: what they want as uniforms, and the layout of their bindings. */

import * as tf from '@tensorflow/tfjs-core';

/** A program that is compiled. */
export interface TfjsProgram {
  readonly pipeline: GPUComputePipeline;
  readonly dispatch: readonly [number, number, number];
  readonly outputShape: number[];
  /** Whether it wants the number of its outputs. */
  readonly size?: boolean;
  /** How many outputs a lane makes at once. */
  readonly outputComponent?: number;
  /** Set where pictures are read or drawn. */
  readonly pixelsOpType?: unknown;
}

/** Numbers that a program wants: one, or a vector. */
export interface UniformField {
  readonly type: string;
  readonly data: readonly number[];
}

const layouts = new WeakMap<GPUComputePipeline, GPUBindGroupLayout>();

/** The layout of a pipeline's bindings, always the same object. */
export function layoutOf(pipeline: GPUComputePipeline): GPUBindGroupLayout {
  let layout = layouts.get(pipeline);
  if (layout === undefined) {
    layout = pipeline.getBindGroupLayout(0);
    layouts.set(pipeline, layout);
  }
  return layout;
}

/** Whether a program works on buffers alone, and is compiled. */
export function isOfBuffers({ pipeline, pixelsOpType }: TfjsProgram, resources: readonly unknown[]): boolean {
  return (
    pixelsOpType == null &&
    !(pipeline instanceof Promise) &&
    resources.every((resource) => resource instanceof GPUBuffer)
  );
}

/**
 * The uniforms of a program: NaN and infinity, shape and strides of each input and of the output, the number of outputs if it wants it, and
 * its own. tfjs's shaders declare them in this order.
 */
export function uniformsOf(
  { size, outputShape, outputComponent }: TfjsProgram,
  output: tf.TensorInfo,
  inputs: readonly tf.TensorInfo[],
  defined: readonly UniformField[],
): ArrayBuffer {
  const fields: UniformField[] = [
    { type: 'float32', data: [Number.NaN] },
    { type: 'float32', data: [Number.POSITIVE_INFINITY] },
  ];
  for (const { shape } of [...inputs, output]) {
    fields.push({ type: 'int32', data: shape }, { type: 'int32', data: tf.util.computeStrides(shape) });
  }
  if (size) fields.push({ type: 'int32', data: [tf.util.sizeFromShape(outputShape) / (outputComponent || 1)] });
  return packed([...fields, ...defined]);
}

/** Fields one after another, aligned as WGSL does; a vector of five or six is a struct. */
function packed(fields: readonly UniformField[]): ArrayBuffer {
  let end = 0;
  let largest = 4;
  let isAfterStruct = false;
  const places = fields.map(({ data }) => {
    const count = Math.max(1, data.length);
    const alignment = isAfterStruct || count > 2 ? 16 : 4 * count;
    largest = Math.max(largest, alignment);
    const place = alignment * Math.ceil(end / alignment);
    isAfterStruct = count > 4;
    end = place + 4 * count;
    return place;
  });
  const bytes = new DataView(new ArrayBuffer(largest * Math.ceil(end / largest)));
  for (const [index, { type, data }] of fields.entries()) {
    // A scalar has a shape and strides of one element there.
    for (const [i, value] of (data.length === 0 ? [1] : data).entries()) {
      const place = (places[index] as number) + 4 * i;
      if (type === 'int32') bytes.setInt32(place, value, true);
      else if (type === 'uint32') bytes.setUint32(place, value, true);
      else bytes.setFloat32(place, value, true);
    }
  }
  return bytes.buffer;
}
