/**
 * Assignments of rows to experts, in the order of the experts, so that each expert's rows follow one another:
 *
 *     order[p] = the assignment at sorted position p        expert e has the positions offsets[e] … offsets[e + 1] − 1
 *
 * A stable counting sort: within an expert, assignments stay in their order.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { ExpertSortAttributes } from '../backend/kernels/experts.ts';
import { assertIndices, EXPERT_ADVICE } from '../index-checks.ts';
import { assertTensor } from '../shape-checks.ts';
import { runFused } from './fused.ts';
import { stopGradient } from './stop-gradient.ts';

/** Sorted assignments. */
export interface ExpertGroups {
  /** int32 [assignments] */
  readonly order: tf.Tensor;
  /** int32 [experts + 1] */
  readonly offsets: tf.Tensor;
}

/**
 * Sorts assignments by expert, on a backend that has the kernel.
 *
 * @param name how messages call the indices
 * @param indices int32 of any shape: the expert of each assignment
 * @param experts number of experts
 * @throws RangeError naming the first index that is out of range; a GPU cannot, and gives NaN for the assignment
 */
export function expertGroups(name: string, indices: tf.Tensor, experts: number): ExpertGroups {
  const attributes: ExpertSortAttributes = { experts, name };
  const [order, offsets] = runFused('FwpExpertSort', { indices: stopGradient(indices) }, attributes);
  return { order: order as tf.Tensor, offsets: offsets as tf.Tensor };
}

/**
 * Checks indices and gates.
 *
 * @param name of the operation
 * @param rows of the input, among which the assignments are divided evenly
 */
export function assertAssignments(name: string, indices: tf.Tensor, gates: tf.Tensor | undefined, rows: number): void {
  assertTensor(`${name}: indices`, indices, 'int32');
  if (rows > 0 ? indices.size % rows !== 0 || indices.size === 0 : indices.size > 0) {
    throw new RangeError(
      `${name}: indices must hold the same number of experts for each of the ${rows} rows of inputs, but has shape ` +
        `[${indices.shape.join(', ')}].`,
    );
  }
  if (gates === undefined) return;
  assertTensor(`${name}: gates`, gates, 'float32');
  if (!tf.util.arraysEqual(gates.shape, indices.shape)) {
    throw new RangeError(
      `${name}: gates must have the shape of indices, [${indices.shape.join(', ')}], but has shape ` +
        `[${gates.shape.join(', ')}].`,
    );
  }
}

/** Checks that indices are experts, where no kernel does, and returns them; `undefined` where they must be waited for. */
export function assertExperts(name: string, indices: tf.Tensor, experts: number): Int32Array | undefined {
  return assertIndices(name, indices, experts, EXPERT_ADVICE);
}
