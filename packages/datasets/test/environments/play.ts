/** Playing environments in tests. */

import type { Environment, Episode, SeededEnvironment } from '../../src/environments/index.ts';
import { createRandom } from '../../src/index.ts';

/** What is known of an episode that has ended. */
export interface EndedEpisode {
  readonly solved: boolean;
  readonly truncated: boolean;
  readonly total: number;
  readonly length: number;
}

/** What an agent sees of one environment of the batch. */
export interface View {
  /** Its row in the batch. */
  readonly row: number;
  readonly observation: Float32Array;
  /** Whether this is the first observation of an episode. */
  readonly isFirst: boolean;
}

/** Plays until `episodes` have ended; an agent that needs a memory keeps it by row. */
export function play(environment: Environment, episodes: number, act: (view: View) => number): EndedEpisode[] {
  const ended: EndedEpisode[] = [];
  const { batchSize } = environment;
  let observations = environment.reset();
  let isFirst = new Uint8Array(batchSize).fill(1);
  const size = observations.length / batchSize;
  while (ended.length < episodes) {
    const actions = Array.from({ length: batchSize }, (_, row) =>
      act({ row, observation: observations.subarray(row * size, (row + 1) * size), isFirst: isFirst[row] === 1 }),
    );
    const step = environment.step(actions);
    for (let row = 0; row < batchSize; row++) {
      if (step.ended[row] === 0) continue;
      const [total, length] = [step.episodeReturns[row] as number, step.episodeLengths[row] as number];
      ended.push({ solved: step.solved[row] === 1, truncated: step.truncated[row] === 1, total, length });
    }
    observations = step.observations;
    isFirst = new Uint8Array(step.ended);
  }
  return ended;
}

/** Share of episodes that were solved. */
export function solvedShare(episodes: readonly EndedEpisode[]): number {
  return episodes.filter(({ solved }) => solved).length / episodes.length;
}

/** An agent that knows nothing and acts at random. */
export function atRandom({ actionCount }: Environment, seed = 1): (view: View) => number {
  const random = createRandom(seed, 'random actions');
  return () => random.integer(actionCount);
}

/** A short history with random actions: all that is observed and told. */
export function history(environment: SeededEnvironment<Episode>, steps: number, seed = 1): ArrayBufferView[] {
  const random = createRandom(seed, 'random actions');
  const seen: ArrayBufferView[] = [environment.reset()];
  for (let i = 0; i < steps; i++) {
    const actions = Array.from({ length: environment.batchSize }, () => random.integer(environment.actionCount));
    seen.push(...(Object.values(environment.step(actions)) as ArrayBufferView[]));
  }
  return seen;
}
