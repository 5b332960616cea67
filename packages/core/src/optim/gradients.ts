/** A loss and its gradients on tfjs's tape; whatever is thrown, nothing stays allocated. */

import { type NamedTensorMap, type Scalar, tidy, type Variable, variableGrads } from '@tensorflow/tfjs-core';
import { assertShape } from '../shape-checks.ts';

/** What {@link valueAndGradients} returns; the caller disposes both. */
export interface ValueAndGradients {
  /** The loss. */
  readonly value: Scalar;
  /** Gradients by the tfjs names of the variables; a variable that the loss does not depend on has none. */
  readonly gradients: NamedTensorMap;
}

/**
 * Computes a loss and its gradients with respect to variables, as `tf.variableGrads` does.
 *
 * @param loss returns a scalar
 * @param variables trainable variables
 */
export function valueAndGradients(loss: () => Scalar, variables: readonly Variable[]): ValueAndGradients {
  return tidy(() => {
    const { value, grads } = variableGrads(() => {
      const result = loss();
      assertShape('The loss', result, []);
      return result;
    }, [...variables]);
    return { value, gradients: grads };
  });
}
