/** What the kernels of all fast-weight scans share. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';

/** Inputs of every scan. One that was not given has no elements. */
export interface FastWeightInputs {
  /** [batch, heads, time, keyDim]. */
  readonly q: TensorInfo;
  readonly k: TensorInfo;
  /** [batch, heads, time, valueDim]. */
  readonly v: TensorInfo;
  /** [batch, heads, valueDim, keyDim]. */
  readonly initialState: TensorInfo;
  /** bool [batch, time]. */
  readonly resetMask: TensorInfo;
}

/** Attributes of every scan. */
export interface FastWeightAttributes {
  readonly read: 'after' | 'before';
}

/** Sizes of a scan. */
export type FastWeightSizes = Record<'batch' | 'heads' | 'time' | 'keyDim' | 'valueDim', number>;

/** The sizes of a scan's inputs. */
export function fastWeightSizes({ k, v }: FastWeightInputs): FastWeightSizes {
  const [batch, heads, time, keyDim] = k.shape as [number, number, number, number];
  return { batch, heads, time, keyDim, valueDim: v.shape[3] as number };
}

/** What C kernels with `FW_ARGUMENTS` (`csrc/fast-weights.h`) begin with. */
export function fastWeightArguments(
  backend: FwpBackend,
  inputs: FastWeightInputs,
  { read }: FastWeightAttributes,
): number[] {
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes(inputs);
  return [
    ...[batch * heads, heads, time, keyDim, valueDim, read === 'before' ? 1 : 0],
    ...[inputs.q, inputs.k, inputs.v].map((x) => backend.offsetOf(x)),
    offsetIfGiven(backend, inputs.initialState),
    offsetIfGiven(backend, inputs.resetMask),
  ];
}

/** The offset of a tensor, or 0 if it is absent or has no elements. */
export function offsetIfGiven(backend: FwpBackend, tensor: TensorInfo | undefined): number {
  return tensor === undefined || isEmpty(tensor) ? 0 : backend.offsetOf(tensor);
}

/** Whether a tensor has no elements: it was not given. */
export function isEmpty(tensor: TensorInfo): boolean {
  return tensor.shape.includes(0);
}
