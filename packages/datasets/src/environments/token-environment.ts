/**
 * Any task with tokens in and tokens out as an environment: a token is observed, the action is the answer, the reward is 1
 * if the answer counts and is right. For online learning there are also the targets themselves.
 *
 *     tokenEnvironment(delayedRecall({ delay: 100 }), { batchSize: 64 })
 *     tokenEnvironment(copyStrict({ maximumBits: 5 }))
 */

import type { Split, TokenTask } from '../task.ts';
import { createEnvironment, type Episode, type Outcome, type SeededEnvironment } from './environment.ts';

/** Options of {@link tokenEnvironment}. The seed is that of the task. */
export interface TokenEnvironmentOptions {
  /** Sequences side by side. Default 1. */
  readonly batchSize?: number;
  /** Default `'train'`. */
  readonly split?: Split;
}

/** A sequence on its way. */
export interface TokenEpisode extends Episode {
  /** The token that is observed now. */
  readonly token: number;
  /** What would be the right answer to it. */
  readonly target: number;
  /** Whether the answer counts. */
  readonly counts: boolean;
}

/**
 * An environment of the sequences of a task. Observations are one-hot vectors `[vocabularySize]`; there are `targetCount`
 * actions. An episode has as many steps as its sequence has tokens; it is solved if all answers that count were right.
 * Episode e in row r of the batch is row r of `task.batch(e, batchSize, split)`.
 *
 * ```ts
 * const environment = tokenEnvironment(delayedRecall(), { batchSize: 64 });
 * let observations = environment.reset();
 * const targets = environment.episodes.map(({ target }) => target);
 * ```
 *
 * @throws RangeError if an option is out of range
 */
export function tokenEnvironment(
  task: TokenTask,
  { batchSize = 1, split = 'train' }: TokenEnvironmentOptions = {},
): SeededEnvironment<TokenEpisode> {
  const rules = {
    name: task.name,
    observationShape: [task.vocabularySize],
    actionCount: task.targetCount,
    begin: (_: unknown, number: number) => sequenceEpisode(task, number, split),
  };
  return createEnvironment(rules, { batchSize, split });
}

function sequenceEpisode(task: TokenTask, number: number, split: Split): TokenEpisode {
  const { length, inputs, targets, mask } = task.batch(number, 1, split);
  let position = 0;
  let isRight = true;
  const episode = {
    get token(): number {
      return inputs[Math.min(position, length - 1)] as number;
    },
    get target(): number {
      return targets[Math.min(position, length - 1)] as number;
    },
    get counts(): boolean {
      return position < length && mask[position] === 1;
    },
    observe: (observation: Float32Array): void => {
      observation[episode.token] = 1;
    },
    act: (action: number): Outcome => {
      const { counts, target } = episode;
      if (counts && action !== target) isRight = false;
      position++;
      return { reward: counts && action === target ? 1 : 0, terminated: position === length, solved: isRight };
    },
  };
  return episode;
}
