/** What acts in environments: a network with a state that goes from one observation to the next. */

import type { Tensor2D, TensorContainer } from '@tensorflow/tfjs-core';

/** A policy with a memory. `ActorCritic` is one; others can wrap any layers that stream. */
export interface Policy<State extends TensorContainer = TensorContainer> {
  /** Numbers in an input: those of an observation, and the reward before it. */
  readonly inputSize: number;
  /** Number of actions. */
  readonly actionCount: number;

  /**
   * One step of acting. It disposes of nothing.
   *
   * @param x float32 `[batch, inputSize]`
   * @param state what came before
   * @returns logits of the actions, float32 `[batch, actionCount]`, and the state behind x
   */
  step(x: Tensor2D, state: State): { logits: Tensor2D; state: State };

  /**
   * The state without what was before the beginning of an episode.
   *
   * @param state what came before
   * @param begins `[batch]`, 1 in rows in which an episode begins; `undefined`: in all of them
   */
  forget(state: State, begins: Uint8Array | undefined): State;

  /** The state before the first observation. */
  initialState(batch: number): State;
}
