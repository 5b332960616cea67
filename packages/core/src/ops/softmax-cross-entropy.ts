/**
 * Softmax cross-entropy with integer targets.
 *
 *     loss_r = lse_r - (1 - ε) z_r[t_r] - ε mean(z_r)          lse_r = ln Σ_j exp(z_rj)
 *     mean: Σ w_r loss_r / Σ w_r      sum: Σ w_r loss_r      none: w_r loss_r
 *
 * with logits z [..., classes], targets t [...], weights w [...] (the mask; all 1 without one) and label smoothing ε
 * (Szegedy et al. 2016, section 7). The gradient of one row, from the logits and lse_r alone, is
 *
 *     dz_rj = w_r (exp(z_rj - lse_r) - (1 - ε) [j = t_r] - ε / classes)
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertIndices, TARGET_ADVICE } from '../index-checks.ts';
import { assertFloatShape, assertNumber, assertOneOf, assertShape, assertTensor } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** How the losses of all positions become the result. */
export type Reduction = 'mean' | 'sum' | 'none';

/** Options of {@link softmaxCrossEntropy}. */
export interface SoftmaxCrossEntropyOptions {
  /**
   * Weight of each position, in the shape of the targets; bool, int32 or float32. Where it is 0, logits and target are
   * not looked at and may be anything. It is a constant: no gradient flows into it.
   */
  mask?: tf.Tensor;
  /** ε: how much of the target's probability is spread over all classes, 0 to 1. Default 0. */
  labelSmoothing?: number;
  /** Default `'mean'`, which divides by the sum of the mask (and is 0 if that is 0). */
  reduction?: Reduction;
}

/**
 * Cross-entropy between softmax(logits) and integer targets.
 *
 * @param logits [..., classes], float32
 * @param targets [...], int32, class numbers
 * @returns a scalar, or [...] with reduction `'none'`
 * @throws RangeError naming position and value of the first target that is out of range
 */
export function softmaxCrossEntropy(
  logits: tf.Tensor,
  targets: tf.Tensor,
  { mask, labelSmoothing = 0, reduction = 'mean' }: SoftmaxCrossEntropyOptions = {},
): tf.Tensor {
  const name = 'softmaxCrossEntropy';
  assertFloatShape(`${name}: logits`, logits, ['...', 'classes']);
  assertTensor(`${name}: targets`, targets, 'int32');
  assertShape(`${name}: targets`, targets, logits.shape.slice(0, -1));
  if (mask !== undefined) {
    assertTensor(`${name}: mask`, mask, 'bool', 'int32', 'float32');
    assertShape(`${name}: mask`, mask, targets.shape);
  }
  assertNumber(`${name}: labelSmoothing`, labelSmoothing, 0, 1);
  assertOneOf(`${name}: reduction`, reduction, ['mean', 'sum', 'none']);
  return tf.tidy(() => {
    const attrs = { labelSmoothing, reduction };
    const weights = mask === undefined ? undefined : tf.cast(mask, 'float32');
    if (!canFuse('FwpSoftmaxCrossEntropy'))
      return composed(logits, targets, weights && constant(weights), labelSmoothing, reduction);
    const [loss] =
      weights === undefined
        ? runFused('FwpSoftmaxCrossEntropy', { logits, targets }, attrs)
        : runFused('FwpMaskedSoftmaxCrossEntropy', { logits, targets, mask: weights }, attrs);
    return loss as tf.Tensor;
  });
}

/** The same values, without a way for gradients. */
function constant(x: tf.Tensor): tf.Tensor {
  return tf.customGrad((value) => ({
    value: tf.clone(value as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
  }))(x);
}

/** The equations in tfjs operations. */
function composed(
  logits: tf.Tensor,
  targets: tf.Tensor,
  weights: tf.Tensor | undefined,
  labelSmoothing: number,
  reduction: Reduction,
): tf.Tensor {
  const classes = logits.shape.at(-1) as number;
  assertIndices('softmaxCrossEntropy: targets', targets, classes, TARGET_ADVICE, weights);
  let z = logits;
  let t = targets;
  if (weights !== undefined) {
    // What lies under the mask may be NaN or no class at all, so it's replaced rather than multiplied by 0.
    const used = tf.notEqual(weights, 0);
    z = tf.where(tf.expandDims(used, -1), z, tf.zerosLike(z));
    t = tf.where(used, t, tf.zerosLike(t));
  }
  const logProbabilities = tf.sub(z, tf.logSumExp(z, -1, true));
  const isTarget = tf.equal(tf.expandDims(t, -1), tf.range(0, classes, 1, 'int32'));
  let losses = tf.neg(tf.sum(tf.where(isTarget, logProbabilities, tf.zerosLike(z)), -1));
  if (labelSmoothing !== 0) {
    const spread = tf.neg(tf.mean(logProbabilities, -1));
    losses = tf.add(tf.mul(losses, 1 - labelSmoothing), tf.mul(spread, labelSmoothing));
  }
  if (weights !== undefined) losses = tf.mul(losses, weights);
  if (reduction === 'none') return losses;
  if (reduction === 'sum') return tf.sum(losses);
  if (weights === undefined) return tf.mean(losses);
  const total = tf.sum(weights);
  return tf.div(tf.sum(losses), tf.where(tf.equal(total, 0), tf.onesLike(total), total));
}

/** Gradients of {@link softmaxCrossEntropy}, for `registerGradients`. */
export const softmaxCrossEntropyGradients: readonly Gradient[] = [
  gradient('FwpSoftmaxCrossEntropy', ['logits', 'targets']),
  gradient('FwpMaskedSoftmaxCrossEntropy', ['logits', 'targets', 'mask']),
];

function gradient(kernelName: string, inputsToSave: string[]): Gradient {
  return {
    kernelName,
    inputsToSave,
    outputsToSave: [false, true],
    reads: [0],
    gradFunc: (dys, saved, attrs) => {
      const inputs = Object.fromEntries(inputsToSave.map((name, i) => [name, saved[i] as tf.Tensor]));
      const lse = saved.at(-1) as tf.Tensor;
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      return {
        logits: () => runKernel('FwpSoftmaxCrossEntropyGrad', { ...inputs, lse, dy }, attrs),
        mask: () => tf.zerosLike(inputs['mask'] as tf.Tensor),
      };
    },
  };
}
