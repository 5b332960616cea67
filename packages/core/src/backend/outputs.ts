/** Making outputs so that nothing stays allocated when something fails half way. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from './backend.ts';

/** Runs `fill`, then returns `tensor`; if `fill` throws, frees `tensor` first. */
export function filled(backend: FwpBackend, tensor: TensorInfo, fill: () => void): TensorInfo {
  try {
    fill();
    return tensor;
  } catch (error) {
    backend.release(tensor);
    throw error;
  }
}

/** The tensors that `makers` return, one after the other; if one throws, those before it are freed. */
export function allOrNothing<const M extends readonly (() => TensorInfo)[]>(
  backend: FwpBackend,
  makers: M,
): { -readonly [K in keyof M]: TensorInfo } {
  const made: TensorInfo[] = [];
  try {
    for (const make of makers) made.push(make());
  } catch (error) {
    for (const tensor of made) backend.release(tensor);
    throw error;
  }
  return made as { -readonly [K in keyof M]: TensorInfo };
}

/** New float32 tensors of the given shapes, filled by `fill`, which receives their byte offsets. */
export function floatOutputs(
  backend: FwpBackend,
  shapes: readonly number[][],
  fill: (offsets: number[]) => void,
): TensorInfo[] {
  const outputs: TensorInfo[] = allOrNothing(
    backend,
    shapes.map((shape) => () => backend.makeOutput(shape, 'float32')),
  );
  try {
    fill(outputs.map((output) => backend.offsetOf(output)));
    return outputs;
  } catch (error) {
    for (const output of outputs) backend.release(output);
    throw error;
  }
}
