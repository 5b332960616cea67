/** An episode of a trained policy, which does what it thinks best, to be drawn. */

import * as tf from '@tensorflow/tfjs-core';
import type { VectorEnvironment } from './environment.ts';
import type { Policy } from './policy.ts';
import { act, beginRollouts, clippedReward, withRewards } from './rollout.ts';

/** An environment whose running episodes can be looked at. */
export interface WatchedEnvironment<E> extends VectorEnvironment {
  /** `[batchSize]` */
  readonly episodes: readonly E[];
}

/** What the policy thought and did at a step. */
export interface WatchedStep {
  /** Probabilities of the actions. */
  readonly probabilities: readonly number[];
  readonly action: number;
  readonly reward: number;
}

/**
 * Plays the first episode of an environment.
 *
 * @param policy decides; it stays as it is
 * @param environment with one episode at a time
 * @param look called before every action and once behind the last
 * @param options whether the policy forgets before every step; default false
 * @returns the steps, and whether the episode was solved
 * @throws RangeError if there are several episodes side by side
 */
export async function watchEpisode<E, State extends tf.TensorContainer>(
  policy: Policy<State>,
  environment: WatchedEnvironment<E>,
  look: (episode: E) => void,
  { memoryless = false }: { readonly memoryless?: boolean } = {},
): Promise<{ steps: WatchedStep[]; solved: boolean }> {
  if (environment.batchSize !== 1) {
    throw new RangeError(`watchEpisode: the environment must have batchSize 1, but has ${environment.batchSize}.`);
  }
  const steps: WatchedStep[] = [];
  let { inputs, begins } = await beginRollouts(environment);
  let state = policy.initialState(1);
  try {
    for (;;) {
      const [episode] = environment.episodes as readonly [E];
      look(episode);
      const [logits, next] = await act(policy, inputs, memoryless ? undefined : begins, state);
      tf.dispose(state);
      state = next;
      const most = Math.max(...logits);
      const weights = Array.from(logits, (logit) => Math.exp(logit - most));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const action = logits.indexOf(most);
      const outcome = await environment.step([action]);
      const reward = outcome.rewards[0] as number;
      steps.push({ probabilities: weights.map((weight) => weight / total), action, reward });
      if (outcome.ended[0] === 1) {
        look(episode);
        return { steps, solved: outcome.solved[0] === 1 };
      }
      inputs = withRewards(outcome.observations, Float32Array.of(clippedReward(reward)));
      begins = outcome.ended;
    }
  } finally {
    tf.dispose(state);
  }
}
