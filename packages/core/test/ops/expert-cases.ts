/** What the tests of mixtures of experts share: assignments, inputs, and comparisons with the reference. */

import * as tf from '@tensorflow/tfjs-core';
import { expertFeedForward, expertMatMul } from '../../src/index.ts';
import { expertLayers, expertProducts, openUnits } from '../reference/experts.ts';
import { expectMatchesReference, type Inputs, noise, noiseInput } from './against-reference.ts';

/** Experts of assignments; where `used` is less than `experts`, the last ones have none. */
export function chosen(assignments: number, used: number, seed: number): Int32Array {
  return Int32Array.from(noise(assignments, seed), (x) => Math.floor(((x + 1) / 2) * used));
}

/** expertMatMul: `groups` · `group` · `share` assignments, `share` for each input row, and as many for each output row as `group`. */
export interface MatMulCase {
  readonly groups: number;
  readonly group: number;
  readonly share: number;
  readonly experts: number;
  readonly size: number;
  readonly outputSize: number;
  readonly gated: boolean;
  readonly seed: number;
}

/** Expects expertMatMul and its gradients to be as in the reference. */
export function expectMatMulMatches({
  groups,
  group,
  share,
  experts,
  size,
  outputSize,
  gated,
  seed,
}: MatMulCase): void {
  const assignments = groups * group * share;
  const [rows, outputRows] = [assignments / share, assignments / group];
  const indices = chosen(assignments, Math.max(1, experts - 1), seed);
  const inputs: Inputs = {
    x: noiseInput([rows, size], seed + 1),
    weights: noiseInput([experts, size, outputSize], seed + 2, 0.5),
    ...(gated && { gates: noiseInput([assignments], seed + 3) }),
  };
  expectMatchesReference({
    inputs,
    operation: ({ x, weights, gates }) => [
      expertMatMul(x as tf.Tensor2D, weights as tf.Tensor3D, tf.tensor1d(indices, 'int32'), { gates, outputRows }),
    ],
    reference: ({ x, weights, gates }) => [
      expertProducts(x!, weights!, indices, gates, { rows, outputRows, size, outputSize }),
    ],
  });
}

/** Inputs of expertFeedForward. */
export function layerInputs(rows: number, active: number, experts: number, size: number, expertSize: number): Inputs {
  return {
    x: noiseInput([rows, size], 1),
    keys: noiseInput([experts, size, expertSize], 2, 1 / Math.sqrt(size)),
    values: noiseInput([experts, expertSize, size], 3, 1 / Math.sqrt(expertSize)),
    gates: noiseInput([rows, active], 4),
  };
}

/** expertFeedForward with these experts. */
export function layer(indices: tf.Tensor2D) {
  return ({ x, keys, values, gates }: Record<string, tf.Tensor>): tf.Tensor[] => [
    expertFeedForward(x as tf.Tensor2D, keys as tf.Tensor3D, values as tf.Tensor3D, indices, gates as tf.Tensor2D),
  ];
}

/** Sizes of expertFeedForward. */
export interface LayerCase {
  readonly rows: number;
  readonly active: number;
  readonly experts: number;
  readonly size: number;
  readonly expertSize: number;
  readonly seed: number;
}

/** Expects expertFeedForward and its gradients to be as in the reference. */
export function expectLayerMatches({ rows, active, experts, size, expertSize, seed }: LayerCase): void {
  const indices = chosen(rows * active, experts, seed);
  const selected = tf.tensor2d(indices, [rows, active], 'int32');
  const inputs = layerInputs(rows, active, experts, size, expertSize);
  const fixed = { indices, rows, size, expertSize };
  const exact = (name: string) => Float64Array.from(inputs[name]!.values);
  const open = openUnits(exact('x'), exact('keys'), fixed);
  expectMatchesReference({
    inputs,
    operation: layer(selected),
    reference: (values) => [expertLayers(values, open, fixed)],
  });
  selected.dispose();
}
