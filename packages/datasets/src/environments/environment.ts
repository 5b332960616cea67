/**
 * What an environment is: episodes in which an agent observes, acts and is rewarded, several at a time. The interface is that
 * of Gymnasium's vector environments, with typed arrays.
 *
 *     observations = reset();   { observations, rewards, terminated, truncated } = step(actions)
 *
 * An episode that ends is followed by the next at once, within the same step: `observations` are then the first of the next
 * episode, and the last of the old one are in `finalObservations`. So `ended` belongs to the observations that come with
 * it: where it is 1, an agent forgets its state before it looks at them.
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, assertSplit, type Split } from '../task.ts';

/** What the agents of an environment need to know about it. */
export interface EnvironmentDescription {
  /** Name of the environment, for example `'t-maze'`. */
  readonly name: string;
  /** Episodes side by side: the first extent of every array. */
  readonly batchSize: number;
  /** Extents of one observation. */
  readonly observationShape: readonly number[];
  /** Actions are 0 … actionCount − 1. */
  readonly actionCount: number;
}

/** Environments that run side by side. */
export interface Environment extends EnvironmentDescription {
  /** Starts over, with the first episodes; returns their first observations `[batchSize, ...observationShape]`. */
  reset(): Float32Array;
  /**
   * Acts in every environment.
   *
   * @param actions `[batchSize]`
   * @throws Error if nothing was reset before; RangeError if an action is none
   */
  step(actions: ArrayLike<number>): EnvironmentStep;
}

/** What follows from the actions. The arrays are new in every step and belong to the caller. */
export interface EnvironmentStep {
  /** `[batchSize, ...observationShape]`; where an episode has ended the first observation of the next. */
  readonly observations: Float32Array;
  /** `[batchSize]` */
  readonly rewards: Float32Array;
  /** `[batchSize]`, 1 where the episode has come to its end. */
  readonly terminated: Uint8Array;
  /** `[batchSize]`, 1 where the episode was stopped because it took too long. */
  readonly truncated: Uint8Array;
  /** `[batchSize]`, 1 where the episode was terminated or truncated. */
  readonly ended: Uint8Array;
  /** `[batchSize, ...observationShape]`, the last observation where an episode has ended, 0 elsewhere. */
  readonly finalObservations: Float32Array;
  /** `[batchSize]`, 1 where an episode has ended and what it asks for was done. */
  readonly solved: Uint8Array;
  /** `[batchSize]`, sum of the rewards of an episode that has ended, 0 elsewhere. */
  readonly episodeReturns: Float64Array;
  /** `[batchSize]`, number of steps of an episode that has ended, 0 elsewhere. */
  readonly episodeLengths: Int32Array;
}

/** What the action of one step leads to. */
export interface Outcome {
  readonly reward: number;
  /** Whether the episode has come to its end. Default `false`. */
  readonly terminated?: boolean;
  /** Whether the episode is stopped because it took too long. Default `false`. */
  readonly truncated?: boolean;
  /** Whether what the episode asks for was done; read when it ends. Default `false`. */
  readonly solved?: boolean;
}

/** One episode. */
export interface Episode {
  /** Writes what is observed now. The array is 0 before. */
  observe(observation: Float32Array): void;
  /** Acts; `action` is checked. */
  act(action: number): Outcome;
}

/** The rules of an environment, of which {@link createEnvironment} makes one. */
export interface EnvironmentRules<E extends Episode> extends Omit<EnvironmentDescription, 'batchSize'> {
  /** An episode that goes on after so many steps is truncated. Default: none is. */
  readonly maximumSteps?: number;
  /**
   * Begins an episode. It may depend on nothing but `random` and `number`.
   *
   * @param random stream of random numbers of this episode
   * @param number number of this episode, from 0
   */
  begin(random: Random, number: number): E;
}

/** Options that every environment has. */
export interface EnvironmentOptions {
  /** Episodes side by side. Default 1. */
  readonly batchSize?: number;
  /** Integer from 0 to 2⁵³ − 1. Default 0. */
  readonly seed?: number;
  /** Episodes of different splits never share random numbers. Default `'train'`. */
  readonly split?: Split;
}

/** Where environments are: the episodes that run, and what was done in them. Can be written as JSON. */
export interface EnvironmentSnapshot {
  /** `[batchSize]`, numbers of the episodes. */
  readonly episodes: readonly number[];
  /** `[batchSize]`, the actions since their beginning. */
  readonly actions: readonly (readonly number[])[];
}

/** Environments whose episodes are pure functions of seed, split, number and actions, so that they can be resumed. */
export interface SeededEnvironment<E extends Episode = Episode> extends Environment {
  /** The episodes that run, `[batchSize]`, to look at; none before {@link Environment.reset}. */
  readonly episodes: readonly E[];
  /** What {@link SeededEnvironment.restore} needs to go on from here. */
  snapshot(): EnvironmentSnapshot;
  /**
   * Goes to where a snapshot of the same environment was taken, by acting as was acted since; returns the observations.
   *
   * @throws RangeError if the snapshot has another `batchSize`
   */
  restore(snapshot: EnvironmentSnapshot): Float32Array;
}

interface Running<E extends Episode> {
  readonly number: number;
  readonly episode: E;
  readonly actions: number[];
  total: number;
}

/**
 * Makes environments out of rules. The environment in row r plays the episodes r, r + batchSize, r + 2 · batchSize, …: the
 * first n episodes are the same for every batch size that divides n.
 *
 * @throws RangeError if an option is out of range
 */
export function createEnvironment<E extends Episode>(
  { name, observationShape, actionCount, maximumSteps = Number.POSITIVE_INFINITY, begin }: EnvironmentRules<E>,
  { batchSize = 1, seed = 0, split = 'train' }: EnvironmentOptions = {},
): SeededEnvironment<E> {
  assertInteger(`${name}: batchSize`, batchSize, 1);
  assertSplit(name, split);
  const description = { name, batchSize, observationShape, actionCount };
  const size = observationSize(description);
  const start = (number: number): Running<E> => {
    return { number, episode: begin(createRandom(seed, name, split, number), number), actions: [], total: 0 };
  };
  const act = (running: Running<E>, action: number): Outcome => {
    const outcome = running.episode.act(action);
    running.actions.push(action);
    running.total += outcome.reward;
    return running.actions.length < maximumSteps ? outcome : { ...outcome, truncated: true };
  };
  const observe = (all: Float32Array = new Float32Array(batchSize * size)): Float32Array => {
    rows.forEach(({ episode }, row) => {
      episode.observe(all.subarray(row * size, (row + 1) * size));
    });
    return all;
  };
  let rows: Running<E>[] = [];

  return {
    ...description,
    get episodes() {
      return rows.map(({ episode }) => episode);
    },
    reset: () => {
      rows = Array.from({ length: batchSize }, (_, row) => start(row));
      return observe();
    },
    step: (actions) => {
      if (rows.length === 0) throw new Error(`${name}: call reset() before step().`);
      assertActions(description, actions);
      const step = emptyStep(description);
      rows.forEach((running, row) => {
        const outcome = act(running, actions[row] as number);
        if (record(step, row, outcome, running.total, running.actions.length)) {
          running.episode.observe(step.finalObservations.subarray(row * size, (row + 1) * size));
          rows[row] = start(running.number + batchSize);
        }
      });
      observe(step.observations);
      return step;
    },
    snapshot: () => ({
      episodes: rows.map(({ number }) => number),
      actions: rows.map(({ actions }) => [...actions]),
    }),
    restore: ({ episodes, actions }) => {
      if (episodes.length !== batchSize) {
        throw new RangeError(`${name}: a snapshot of ${episodes.length} episodes can't go on as ${batchSize}.`);
      }
      rows = episodes.map(start);
      rows.forEach((running, row) => {
        for (const action of actions[row] as readonly number[]) act(running, action);
      });
      return observe();
    },
  };
}

/** Numbers in one observation. */
export function observationSize({ observationShape }: EnvironmentDescription): number {
  return observationShape.reduce((size, extent) => size * extent, 1);
}

/** Makes sure that there is one action for every environment. */
export function assertActions(
  { name, batchSize, actionCount }: EnvironmentDescription,
  actions: ArrayLike<number>,
): void {
  if (actions.length !== batchSize) {
    throw new RangeError(`${name}: ${batchSize} actions are needed, but there are ${actions.length}.`);
  }
  for (let row = 0; row < batchSize; row++) {
    assertInteger(`${name}: action ${row}`, actions[row] as number, 0, actionCount - 1);
  }
}

/** A step in which nothing has happened yet. */
export function emptyStep(description: EnvironmentDescription): EnvironmentStep {
  const { batchSize } = description;
  const size = observationSize(description);
  return {
    observations: new Float32Array(batchSize * size),
    rewards: new Float32Array(batchSize),
    terminated: new Uint8Array(batchSize),
    truncated: new Uint8Array(batchSize),
    ended: new Uint8Array(batchSize),
    finalObservations: new Float32Array(batchSize * size),
    solved: new Uint8Array(batchSize),
    episodeReturns: new Float64Array(batchSize),
    episodeLengths: new Int32Array(batchSize),
  };
}

/** Enters an outcome, with return and length of its episode so far; returns whether the episode has ended. */
export function record(
  step: EnvironmentStep,
  row: number,
  { reward, terminated = false, truncated = false, solved = false }: Outcome,
  total: number,
  length: number,
): boolean {
  step.rewards[row] = reward;
  if (!terminated && !truncated) return false;
  step.terminated[row] = terminated ? 1 : 0;
  step.truncated[row] = truncated && !terminated ? 1 : 0;
  step.ended[row] = 1;
  step.solved[row] = solved ? 1 : 0;
  step.episodeReturns[row] = total;
  step.episodeLengths[row] = length;
  return true;
}
