/**
 * Calls of the kernels of `csrc/optimizer.c`, which work on all parameters at once: a table in the heap has one row of
 * float64 numbers per tensor.
 */

import {
  getBackend,
  type Tensor,
  type TensorInfo,
  engine as tfEngine,
  util,
  type Variable,
} from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from '../backend/backend.ts';
import { engineBackend } from '../device/device.ts';

/** Equal LIST_ALIGNMENT and LIST_GRAIN of `csrc/optimizer.c`. */
const ALIGNMENT = 16;
const GRAIN = 1 << 15;

/** The engine's backend if tfjs computes on it now, else undefined: then the composed version runs. */
export function activeEngineBackend(): FwpBackend | undefined {
  return getBackend() === BACKEND_NAME ? engineBackend() : undefined;
}

/**
 * Runs a kernel on a list of tensors.
 *
 * @param rows of each tensor: number of elements, then the kernel's other columns
 * @param scalars the kernel's arguments after the table, its length and its extent
 * @param resultBytes room for results; their offset is the kernel's last argument then
 * @returns the first result, or 0
 */
export function runOnList(
  backend: FwpBackend,
  kernel: string,
  rows: readonly (readonly number[])[],
  scalars: readonly number[],
  withResults = false,
): number {
  const columns = (rows[0]?.length ?? 0) + 1;
  const table = new Float64Array(rows.length * columns);
  let extent = 0;
  rows.forEach((row, r) => {
    table[r * columns] = extent;
    table.set(row, r * columns + 1);
    extent += Math.ceil((row[0] as number) / ALIGNMENT) * ALIGNMENT;
  });
  const results = withResults ? Math.max(1, Math.ceil(extent / GRAIN)) : 0;
  const bytes = Math.max(1, table.length + results) * 8;
  return backend.withWorkspace(bytes, (offset) => {
    const memory = backend.engine.uint8(offset, bytes);
    const numbers = new Float64Array(memory.buffer, offset, bytes / 8);
    numbers.set(table, results);
    const tableOffset = offset + results * 8;
    backend.engine.run(kernel, tableOffset, rows.length, extent, ...scalars, ...(withResults ? [offset] : []));
    return withResults ? (numbers[0] as number) : 0;
  });
}

/** A square-sum over all tensors, in double precision. */
export function sumOfSquares(backend: FwpBackend, tensors: readonly Tensor[]): number {
  if (tensors.length === 0) return 0;
  const rows = tensors.map((tensor) => [tensor.size, backend.offsetOf(tensor)]);
  return runOnList(backend, 'squared_norm', rows, [], true);
}

/** New tensors `scale · tensor`. */
export function scaleAll(backend: FwpBackend, tensors: readonly Tensor[], scale: number): Tensor[] {
  const outputs: TensorInfo[] = [];
  try {
    for (const tensor of tensors) outputs.push(backend.makeOutput(tensor.shape));
    const rows = tensors.map((tensor, i) => {
      return [tensor.size, backend.offsetOf(tensor), 0, backend.offsetOf(outputs[i] as TensorInfo)];
    });
    runOnList(backend, 'add_scaled', rows, [scale]);
  } catch (error) {
    for (const output of outputs) backend.release(output);
    throw error;
  }
  return outputs.map((output) => tfEngine().makeTensorFromTensorInfo(output, backend));
}

/**
 * Makes sure that a gradient fits its parameter.
 *
 * @throws RangeError naming the parameter and both shapes
 */
export function assertGradient(name: string, gradient: Tensor, variable: Variable): void {
  if (gradient.isDisposed) throw new TypeError(`The gradient of parameter '${name}' was disposed.`);
  if (variable.isDisposed)
    throw new TypeError(`Parameter '${name}' was disposed; make a new optimizer for a new model.`);
  if (gradient.dtype !== 'float32' || !util.arraysEqual(gradient.shape, variable.shape)) {
    throw new RangeError(
      `The gradient of parameter '${name}' must be float32 of shape [${variable.shape.join(', ')}], but is ` +
        `${gradient.dtype} of shape [${gradient.shape.join(', ')}].`,
    );
  }
}
