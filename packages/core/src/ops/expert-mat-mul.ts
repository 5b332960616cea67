/**
 * Matrix products of rows with the matrices of chosen experts (Csordás, Irie & Schmidhuber, Approximating Two-Layer Feedforward
 * Networks for Efficient Transformers, 2023, section 5, "CVMM"), summed with gates:
 *
 *     y[r] = Σ over assignments a of output row r:  gate_a x[row of a] W[index_a]
 *     dx[i] = Σ_a gate_a dy[·] W[index_a]ᵀ      dW[e] = Σ_{a: index_a = e} gate_a x[·]ᵀ dy[·]      dgate_a = dy[·] · (x[·] W[index_a])
 *
 *     x [rows, size]   W [experts, size, outputSize]   index, gate [assignments, in any shape]   y [outputRows, outputSize]
 *
 * Assignment a belongs to input row ⌊a · rows / assignments⌋ and output row ⌊a · outputRows / assignments⌋: indices [rows, K] and as
 * many output rows are a layer of K experts for each row; an output row for each assignment keeps the products apart.
 * Assignments are sorted by expert, rows gathered as they are read, products scattered as they are stored: nothing is made of the
 * size [assignments, size]. An expert that nobody chose has a gradient of 0.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { ExpertMatMulAttributes } from '../backend/kernels/experts.ts';
import { assertCount, assertFloatShape } from '../shape-checks.ts';
import { connectedZeros } from './connected-zeros.ts';
import { expertBlocks, gatherBlocks, multiplyBlocks, takeAssignments } from './expert-blocks.ts';
import { assertAssignments, assertExperts, expertGroups } from './expert-groups.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** Options of {@link expertMatMul}. */
export interface ExpertMatMulOptions {
  /** Factors of the products, float32 in the shape of the indices. Default: 1. */
  gates?: tf.Tensor | undefined;
  /** Rows of the output, among which the assignments are divided evenly, and over which they are summed. Default: those of the input. */
  outputRows?: number | undefined;
}

/**
 * Multiplies rows by the matrices of their experts.
 *
 * @param inputs x, float32 `[rows, size]`
 * @param weights W, float32 `[experts, size, outputSize]`
 * @param indices int32, the same number for each row, which follow one another: `[rows, active]`, say
 * @param options gates and number of output rows
 * @returns y, float32 `[outputRows, outputSize]`
 * @throws TypeError or RangeError if an argument has another dtype or shape, or an index is no expert
 */
export function expertMatMul(
  inputs: tf.Tensor2D,
  weights: tf.Tensor3D,
  indices: tf.Tensor,
  options: ExpertMatMulOptions = {},
): tf.Tensor2D {
  const { experts, size } = assertFloatShape('expertMatMul: weights', weights, ['experts', 'size', 'outputSize']) as {
    experts: number;
    size: number;
  };
  const { rows } = assertFloatShape('expertMatMul: inputs', inputs, ['rows', 'size'], { size }) as { rows: number };
  const { gates, outputRows = rows } = options;
  assertAssignments('expertMatMul', indices, gates, rows);
  assertCount('expertMatMul: outputRows', outputRows, 0);
  if (outputRows > 0 ? indices.size % outputRows !== 0 || indices.size === 0 : indices.size > 0) {
    throw new RangeError(
      `expertMatMul: outputRows must divide the ${indices.size} assignments evenly, but is ${outputRows}. Give ` +
        `${indices.size} to keep them apart, or leave it out to sum over those of each row of inputs.`,
    );
  }
  return tf.tidy(() => {
    const flatGates = gates && tf.reshape(gates, [indices.size]);
    if (canFuse('FwpExpertMatMul')) {
      const groups = expertGroups('expertMatMul: indices', indices, experts);
      const attributes: ExpertMatMulAttributes = { outputRows };
      const tensors = { inputs, weights, gates: flatGates ?? tf.zeros([0]), ...groups };
      return runKernel('FwpExpertMatMul', tensors, attributes) as tf.Tensor2D;
    }
    const chosen = assertExperts('expertMatMul: indices', indices, experts);
    if (indices.size === 0 || weights.size === 0) {
      return connectedZeros([outputRows, weights.shape[2]], [inputs, weights, gates]) as tf.Tensor2D;
    }
    const blocks = expertBlocks(indices, chosen, rows, experts);
    const products = multiplyBlocks(gatherBlocks(inputs, blocks), weights, blocks);
    return sumAssignments(takeAssignments(products, blocks), flatGates, outputRows);
  });
}

/** Sums products [assignments, n], times gates [assignments], over those of each output row. */
export function sumAssignments(products: tf.Tensor2D, gates: tf.Tensor | undefined, outputRows: number): tf.Tensor2D {
  const [assignments, n] = products.shape;
  const gated = gates === undefined ? products : tf.mul(products, tf.expandDims(gates, 1));
  if (assignments === outputRows) return gated as tf.Tensor2D;
  return tf.sum(tf.reshape(gated, [outputRows, assignments / outputRows, n]), 1) as tf.Tensor2D;
}

type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** Gradient of the kernel, for `registerGradients`. */
export const expertMatMulGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpExpertMatMul',
    inputsToSave: ['inputs', 'weights', 'gates', 'order', 'offsets'],
    gradFunc: (dy, saved, attributes) => {
      const [inputs, weights, gates, order, offsets] = saved as Five;
      const tensors = { dy: dy as tf.Tensor, inputs, weights, gates, order, offsets };
      const [dInputs, dWeights, dGates] = runFused('FwpExpertMatMulGrad', tensors, attributes);
      return {
        inputs: () => dInputs as tf.Tensor,
        weights: () => dWeights as tf.Tensor,
        gates: () => dGates as tf.Tensor,
      };
    },
  },
];
