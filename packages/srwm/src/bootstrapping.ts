/**
 * Training on what the model itself will know later (Irie and Schmidhuber, 2023, "Accelerating neural self-improvement via
 * bootstrapping"). Of the same query, the model makes one prediction p after it has read the support set, and a better one, p′,
 * after it has read further examples; the first learns from the second:
 *
 *     L = main · CE(p, target) + bootstrap · KL(p′ ‖ p) + future · CE(p′, target)
 *
 * with p′ in the second term a constant: otherwise it could be lowered by making p′ worse. The gradient of KL(p′ ‖ p) for the
 * logits of p is (p − p′) / batch.
 */

import { assertFloatShape, assertNumber, inTidy, softmaxCrossEntropy } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Weights of the terms of {@link bootstrapLoss}. */
export interface BootstrapOptions {
  /** Default 1. */
  main?: number | undefined;
  /** Default 10, as in the paper. */
  bootstrap?: number | undefined;
  /** Default 1. */
  future?: number | undefined;
}

/** The loss, and its terms without their weights. */
export interface BootstrapLoss {
  loss: tf.Scalar;
  main: tf.Scalar;
  bootstrap: tf.Scalar;
  future: tf.Scalar;
}

/**
 * The bootstrapped loss.
 *
 * @param logits of the prediction after the support set, float32 `[batch, ways]`
 * @param futureLogits of the prediction after further examples, float32 `[batch, ways]`
 * @param targets int32 `[batch]`
 * @param options weights of the terms; a term of weight 0 is computed, but has no part in the gradient
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function bootstrapLoss(
  logits: tf.Tensor,
  futureLogits: tf.Tensor,
  targets: tf.Tensor,
  { main = 1, bootstrap = 10, future = 1 }: BootstrapOptions = {},
): BootstrapLoss {
  const sizes = assertFloatShape('bootstrapLoss: logits', logits, ['batch', 'ways']);
  assertFloatShape('bootstrapLoss: futureLogits', futureLogits, ['batch', 'ways'], sizes);
  const weights = { main, bootstrap, future };
  for (const [name, weight] of Object.entries(weights)) assertNumber(`bootstrapLoss: ${name}`, weight, 0);
  return inTidy((): BootstrapLoss => {
    const terms = {
      main: softmaxCrossEntropy(logits, targets) as tf.Scalar,
      bootstrap: divergence(logits, futureLogits),
      future: softmaxCrossEntropy(futureLogits, targets) as tf.Scalar,
    };
    const weighted = (Object.keys(terms) as (keyof typeof terms)[])
      .filter((name) => weights[name] > 0)
      .map((name) => (weights[name] === 1 ? terms[name] : tf.mul<tf.Scalar>(terms[name], weights[name])));
    return { loss: weighted.length === 0 ? tf.scalar(0) : tf.addN(weighted), ...terms };
  });
}

/**
 * The alternative to the KL term: that fast weights after the support set are near those after further examples,
 *
 *     Σ over layers and the four blocks of columns of mean (W_S − W_{S,F})²,    W_{S,F} a constant
 *
 * @param states fast weights of all layers after the support set, as `Srwm` has them, float32 `[batch, heads, d, 3 d + 4]`
 * @param futureStates those after further examples
 * @throws TypeError or RangeError if one is no float32 tensor of that shape, as the states of `SrDelta` are not, or if shapes or
 *   numbers of states differ
 */
export function stateMatchingLoss(states: readonly tf.Tensor[], futureStates: readonly tf.Tensor[]): tf.Scalar {
  if (states.length !== futureStates.length || states.length === 0) {
    throw new RangeError(
      `stateMatchingLoss: states and futureStates must be those of the same layers, but are ${states.length} and ` +
        `${futureStates.length}.`,
    );
  }
  return tf.tidy(() => {
    const losses = states.flatMap((state, layer) => {
      const future = futureStates[layer] as tf.Tensor;
      const sizes = assertFloatShape('stateMatchingLoss: states', state, ['batch', 'heads', 'd', 'columns']);
      assertFloatShape('stateMatchingLoss: futureStates', future, ['batch', 'heads', 'd', 'columns'], sizes);
      const { d, columns } = sizes as { d: number; columns: number };
      if (columns !== 3 * d + 4) {
        throw new RangeError(
          `stateMatchingLoss: states must be those of Srwm layers, [batch, heads, d, 3 d + 4], but that of layer ${layer} has ` +
            `${columns} columns instead of ${3 * d + 4}. States of SrDelta hold another matrix besides, and cannot be matched.`,
        );
      }
      const squares = tf.square(tf.sub(state, constant(future)));
      return tf.split(squares, [d, d, d, 4], 3).map((block) => tf.mean<tf.Scalar>(block));
    });
    return tf.addN(losses);
  });
}

/**
 * KL(softmax(wanted) ‖ softmax(logits)), the mean over rows. Its gradient is written out, so that it is exactly 0 where both
 * agree.
 */
function divergence(logits: tf.Tensor, wanted: tf.Tensor): tf.Scalar {
  const rows = logits.shape[0] as number;
  return tf.customGrad((...given) => {
    const [x, y, save] = given as unknown as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([x, y]);
    const [log, wantedLog] = [tf.logSoftmax(x), tf.logSoftmax(y)];
    const perRow = tf.sum(tf.mul(tf.exp(wantedLog), tf.sub(wantedLog, log)), -1);
    return {
      value: tf.mean(perRow),
      gradFunc: (dy, saved) => {
        const [current, target] = saved as [tf.Tensor, tf.Tensor];
        const difference = tf.sub(tf.softmax(current), tf.softmax(target));
        return [tf.mul(tf.div(difference, rows), dy as tf.Tensor), tf.zerosLike(target)];
      },
    };
  })(logits, wanted) as tf.Scalar;
}

/** x, through which no gradient flows. */
function constant<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((given) => ({
    value: (given as tf.Tensor).clone(),
    gradFunc: (dy) => tf.zerosLike(dy as tf.Tensor),
  }))(x) as T;
}
