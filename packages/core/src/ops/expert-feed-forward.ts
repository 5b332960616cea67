/**
 * The two layers of a mixture of experts in one operation (Csordás, Irie & Schmidhuber, Approximating Two-Layer Feedforward Networks
 * for Efficient Transformers, 2023, equations 10 and 11):
 *
 *     y[r] = Σ_j gate_rj relu(x[r] K[e]) V[e],   e = index_rj        x, y [rows, size]   index, gate [rows, active]
 *
 *     K [experts, size, expertSize]: keys of an expert's hidden units, as columns     V [experts, expertSize, size]: their values
 *
 * Gradient, with D = dy[r] V[e]ᵀ and the hidden units h = relu(x[r] K[e]) of an assignment:
 *
 *     dgate = D · h      dh = gate D ∘ (h > 0)      dV[e] = Σ gate hᵀ dy[r]      dK[e] = Σ x[r]ᵀ dh      dx[r] = Σ_j dh K[e]ᵀ
 *
 * Only h [rows · active, expertSize] is kept for it, whatever the number of experts; and the assignments are sorted once for all six
 * products.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertShape } from '../shape-checks.ts';
import { connectedZeros } from './connected-zeros.ts';
import { expertBlocks, gatherBlocks, multiplyBlocks, takeAssignments } from './expert-blocks.ts';
import { assertAssignments, assertExperts, expertGroups } from './expert-groups.ts';
import { sumAssignments } from './expert-mat-mul.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';
import { keptBuffer } from './kept-buffer.ts';

/**
 * A feed-forward layer of chosen experts.
 *
 * @param inputs x, float32 `[rows, size]`
 * @param keys K, float32 `[experts, size, expertSize]`
 * @param values V, float32 `[experts, expertSize, size]`
 * @param indices int32 `[rows, active]`: the experts of each row; one may occur twice
 * @param gates float32 `[rows, active]`: the factors of what they give
 * @returns y, float32 `[rows, size]`
 * @throws TypeError or RangeError if an argument has another dtype or shape, or an index is no expert
 */
export function expertFeedForward(
  inputs: tf.Tensor2D,
  keys: tf.Tensor3D,
  values: tf.Tensor3D,
  indices: tf.Tensor2D,
  gates: tf.Tensor2D,
): tf.Tensor2D {
  const sizes = assertFloatShape('expertFeedForward: keys', keys, ['experts', 'size', 'expertSize']);
  assertFloatShape('expertFeedForward: values', values, ['experts', 'expertSize', 'size'], sizes);
  const { experts, expertSize, rows } = assertFloatShape(
    'expertFeedForward: inputs',
    inputs,
    ['rows', 'size'],
    sizes,
  ) as {
    experts: number;
    expertSize: number;
    rows: number;
  };
  assertShape('expertFeedForward: indices', indices, ['rows', 'active'], { rows });
  assertAssignments('expertFeedForward', indices, gates, rows);
  return tf.tidy(() => {
    const flatGates = tf.reshape(gates, [indices.size]);
    if (canFuse('FwpExpertFeedForward')) {
      const groups = expertGroups('expertFeedForward: indices', indices, experts);
      const hidden = keptBuffer([indices.size, expertSize]);
      const tensors = { inputs, keys, values, gates: flatGates, ...groups, hidden };
      return runKernel('FwpExpertFeedForward', tensors) as tf.Tensor2D;
    }
    const chosen = assertExperts('expertFeedForward: indices', indices, experts);
    if (indices.size === 0 || keys.size === 0) {
      return connectedZeros(inputs.shape, [inputs, keys, values, gates]) as tf.Tensor2D;
    }
    const blocks = expertBlocks(indices, chosen, rows, experts);
    const hidden = tf.relu(multiplyBlocks(gatherBlocks(inputs, blocks), keys, blocks)) as tf.Tensor3D;
    return sumAssignments(takeAssignments(multiplyBlocks(hidden, values, blocks), blocks), flatGates, rows);
  });
}

/** Gradient of the kernel, for `registerGradients`. */
export const expertFeedForwardGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpExpertFeedForward',
    inputsToSave: ['inputs', 'keys', 'values', 'gates', 'order', 'offsets', 'hidden'],
    gradFunc: (dy, saved) => {
      const [inputs, keys, values, gates, order, offsets, hidden] = saved as tf.Tensor[] as [
        ...[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
      ];
      const tensors = { dy: dy as tf.Tensor, inputs, keys, values, gates, order, offsets, hidden };
      const [dInputs, dKeys, dValues, dGates] = runFused('FwpExpertFeedForwardGrad', tensors);
      return {
        inputs: () => dInputs as tf.Tensor,
        keys: () => dKeys as tf.Tensor,
        values: () => dValues as tf.Tensor,
        gates: () => dGates as tf.Tensor,
      };
    },
  },
];
