/** A loss and its gradients on tfjs's tape, without leaks when the loss function throws. */

import {
  type NamedTensorMap,
  type Scalar,
  type Tensor,
  engine as tfEngine,
  tidy,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
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
  try {
    return tidy(() => {
      const { value, grads } = variableGrads(() => {
        const result = loss();
        assertShape('The loss', result, []);
        return result;
      }, [...variables]);
      return { value, gradients: grads };
    });
  } catch (error) {
    disposeTape();
    throw error;
  }
}

/** tfjs forgets what it saved for the backward pass when the forward pass throws. */
function disposeTape(): void {
  const { state } = tfEngine() as unknown as {
    state: { gradientDepth: number; activeTape: { saved?: Tensor[] }[] | null };
  };
  if (state.gradientDepth > 0 || state.activeTape === null || state.activeTape === undefined) return;
  for (const { saved } of state.activeTape) for (const tensor of saved ?? []) tensor.dispose();
  state.activeTape = null;
}
