/**
 * Products of rows with the matrices of their experts, composed of tfjs operations for other backends and second derivatives. Rows are
 * gathered by expert into blocks of B rows, so that one batched product multiplies each block by one matrix:
 *
 *     x [blocks, B, size] = inputs[rows]      w [blocks, size, n] = weights[experts]      x w [blocks, B, n]
 *
 *     B = ⌈assignments / experts⌉      blocks = Σ over experts of ⌈its assignments / B⌉ ≤ 2 · experts
 *
 * So about twice as many rows as assignments are multiplied at most, by copies of at most twice as many matrices as there are,
 * however the assignments are divided among the experts; and an expert that nobody chose costs nothing.
 */

import * as tf from '@tensorflow/tfjs-core';
import { stopGradient } from './stop-gradient.ts';

/** Where assignments are in blocks, each of which belongs to one expert. */
export interface ExpertBlocks {
  /** B */
  readonly blockRows: number;
  /** int32 [blocks · B]: the input row of each slot. A slot that is left over repeats a row of its own block. */
  readonly rows: tf.Tensor1D;
  /** int32 [blocks]: the expert of each block */
  readonly experts: tf.Tensor1D;
  /** int32 [assignments]: the slot of each assignment */
  readonly slots: tf.Tensor1D;
}

/**
 * Divides assignments into blocks. Where they must be waited for, every assignment is a block of its own.
 *
 * @param indices int32: the expert of each assignment, those of each row following one another
 * @param chosen the same; `undefined` if they must be waited for
 * @param rows of the input, among which the assignments are divided evenly
 * @param experts number of experts
 */
export function expertBlocks(
  indices: tf.Tensor,
  chosen: Int32Array | undefined,
  rows: number,
  experts: number,
): ExpertBlocks {
  const share = indices.size / rows;
  if (chosen === undefined) {
    const own = Int32Array.from({ length: indices.size }, (_, a) => Math.floor(a / share));
    const slots = tf.range(0, indices.size, 1, 'int32');
    const expertOfEach: tf.Tensor1D = tf.reshape(stopGradient(indices), [indices.size]);
    return { blockRows: 1, rows: tf.tensor1d(own, 'int32'), experts: expertOfEach, slots };
  }
  const assigned: number[][] = Array.from({ length: experts }, () => []);
  for (const [assignment, expert] of chosen.entries()) assigned[expert]!.push(assignment);
  const blockRows = Math.ceil(indices.size / experts);
  const rowOfSlot: number[] = [];
  const expertOfBlock: number[] = [];
  const slots = new Int32Array(indices.size);
  assigned.forEach((assignments, expert) => {
    for (let start = 0; start < assignments.length; start += blockRows) {
      expertOfBlock.push(expert);
      for (let i = start; i < start + blockRows; i++) {
        const assignment = assignments[i];
        if (assignment !== undefined) slots[assignment] = rowOfSlot.length;
        rowOfSlot.push(Math.floor((assignment ?? assignments[start]!) / share));
      }
    }
  });
  return {
    blockRows,
    rows: tf.tensor1d(rowOfSlot, 'int32'),
    experts: tf.tensor1d(expertOfBlock, 'int32'),
    slots: tf.tensor1d(slots, 'int32'),
  };
}

/** Gathers rows [rows, size] into [blocks, B, size]. */
export function gatherBlocks(inputs: tf.Tensor2D, { blockRows, rows, experts }: ExpertBlocks): tf.Tensor3D {
  return tf.reshape(tf.gather(inputs, rows), [experts.size, blockRows, inputs.shape[1]]);
}

/** Multiplies blocks [blocks, B, size] by their experts' matrices, of weights [experts, size, n]: [blocks, B, n]. */
export function multiplyBlocks(blocks: tf.Tensor3D, weights: tf.Tensor3D, { experts }: ExpertBlocks): tf.Tensor3D {
  return tf.matMul(blocks, tf.gather(weights, experts)) as tf.Tensor3D;
}

/** Takes the rows of the assignments, [assignments, n], out of blocks [blocks, B, n]. */
export function takeAssignments(blocks: tf.Tensor3D, { slots }: ExpertBlocks): tf.Tensor2D {
  const [count, blockRows, n] = blocks.shape;
  return tf.gather(tf.reshape(blocks, [count * blockRows, n]), slots) as tf.Tensor2D;
}
