/** An episode of a trained agent, which does what it thinks best, to be drawn. */

import type { Episode, SeededEnvironment } from '@fwp/datasets/environments';
import type { ActorCritic } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';

/** What the agent thought and did at a step. */
export interface WatchedStep {
  /** Probabilities of the actions. */
  readonly policy: readonly number[];
  readonly value: number;
  readonly action: number;
  readonly reward: number;
}

/**
 * Plays one episode.
 *
 * @param environment with one episode at a time
 * @param look called before every action and once behind the last
 * @returns the steps, and whether the episode was solved
 */
export function watchEpisode<E extends Episode>(
  network: ActorCritic,
  environment: SeededEnvironment<E>,
  memoryless: boolean,
  look: (episode: E) => void,
): { steps: WatchedStep[]; solved: boolean } {
  return tf.tidy(() => {
    const steps: WatchedStep[] = [];
    let observation = environment.reset();
    let reward = 0;
    let cell = network.layer.initialState(1).cell;
    for (;;) {
      const [episode] = environment.episodes as [E];
      look(episode);
      const x = tf.tensor2d([...observation, Math.min(Math.max(reward, -1), 1)], [1, observation.length + 1]);
      const { logits, values, state } = network.step(x, memoryless ? tf.zerosLike(cell) : cell);
      cell = state;
      const policy = [...tf.softmax(logits).dataSync()];
      const action = policy.indexOf(Math.max(...policy));
      const outcome = environment.step([action]);
      reward = outcome.rewards[0] as number;
      steps.push({ policy, value: values.dataSync()[0] as number, action, reward });
      observation = outcome.observations;
      if (outcome.ended[0] === 1) {
        look(episode);
        return { steps, solved: outcome.solved[0] === 1 } as unknown as tf.TensorContainerObject;
      }
    }
  }) as unknown as { steps: WatchedStep[]; solved: boolean };
}
