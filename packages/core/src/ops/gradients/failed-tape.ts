/**
 * tfjs keeps the tensors that a gradient needs until the gradient is computed. If something throws before, they stay
 * forever; here they are freed.
 */

import * as tf from '@tensorflow/tfjs-core';

interface TapeNode {
  readonly saved: tf.Tensor[];
}

/** The part of tfjs's engine that this file needs. */
interface GradientEngine {
  readonly state: { gradientDepth: number; activeTape: TapeNode[] | null | undefined };
  gradients(...args: unknown[]): unknown;
}

/** Makes tfjs's engine free what a failed gradient leaves behind. */
export function freeFailedTapes(): void {
  const engine = tf.engine() as unknown as GradientEngine;
  const gradients = engine.gradients;
  engine.gradients = function (this: GradientEngine, ...args: unknown[]): unknown {
    try {
      return gradients.apply(this, args);
    } catch (error) {
      // An outer gradient, if there is one, shares the tape and will come by here, too.
      if (this.state.gradientDepth === 0 && this.state.activeTape) {
        for (const { saved } of this.state.activeTape) for (const tensor of saved ?? []) tensor.dispose();
        this.state.activeTape = null;
      }
      throw error;
    }
  };
}
