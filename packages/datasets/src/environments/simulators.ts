/**
 * Simulators from elsewhere as environments: a game, a physics engine, a process at the other end of a socket. A simulator
 * plays one episode at a time; several of them, all of the same kind, become one batch.
 *
 * ```ts
 * const simulator: Simulator = {
 *   name: 'my-game',
 *   observationShape: [84, 84],
 *   actionCount: 6,
 *   reset: async (seed) => (await ask({ reset: seed })).observation,
 *   step: (action) => ask({ action }), // { observation, reward, terminated, truncated }
 * };
 * const environment = simulatorEnvironment([simulator, another]);
 * let observations = await environment.reset();
 * for (;;) ({ observations } = await environment.step(policy(observations)));
 * ```
 *
 * `ask` stands for the way to the simulator, for example one line of JSON to a process and one back.
 */

import { createRandom } from '../random.ts';
import { assertSplit, type Split } from '../task.ts';
import {
  assertActions,
  type EnvironmentDescription,
  type EnvironmentStep,
  emptyStep,
  type Outcome,
  observationSize,
  record,
} from './environment.ts';

/** An environment from elsewhere that plays one episode at a time. Its methods may give what they give later. */
export interface Simulator extends Omit<EnvironmentDescription, 'batchSize'> {
  /**
   * Starts an episode and returns its first observation.
   *
   * @param seed integer from 0 to 2³¹ − 1, to draw everything random from
   */
  reset(seed: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Acts. After the end of an episode `reset` is called before `step`. */
  step(action: number): SimulatorStep | Promise<SimulatorStep>;
}

/** What follows from an action. */
export interface SimulatorStep extends Outcome {
  readonly observation: ArrayLike<number>;
}

/** As `Environment`, but what its methods give comes later. */
export interface AsyncEnvironment extends EnvironmentDescription {
  /** Starts over, with new episodes in every simulator; returns their first observations. */
  reset(): Promise<Float32Array>;
  /** Acts in every simulator, in all at the same time. Wait for its end before the next call. */
  step(actions: ArrayLike<number>): Promise<EnvironmentStep>;
}

/** Options of {@link simulatorEnvironment}. */
export interface SimulatorOptions {
  /** Integer from 0 to 2⁵³ − 1. Default 0. */
  readonly seed?: number;
  /** Episodes of different splits get different seeds. Default `'train'`. */
  readonly split?: Split;
}

/**
 * One environment out of simulators, one for each row of the batch. They get the seeds of their episodes from `seed`, `split`
 * and the number of the episode; ends of episodes are as in every environment.
 *
 * @throws RangeError if there is no simulator, or they differ in shape or actions; later, if an observation has another
 * size than the simulator says
 */
export function simulatorEnvironment(
  simulators: readonly Simulator[],
  { seed = 0, split = 'train' }: SimulatorOptions = {},
): AsyncEnvironment {
  const [first] = simulators;
  if (first === undefined) throw new RangeError('simulatorEnvironment: at least one simulator is needed.');
  const { name, observationShape, actionCount } = first;
  const description = { name, batchSize: simulators.length, observationShape, actionCount };
  assertSplit(name, split);
  for (const other of simulators) {
    if (other.actionCount === actionCount && other.observationShape.join() === observationShape.join()) continue;
    throw new RangeError(
      `${name}: all simulators must have observations [${observationShape.join(', ')}] and ${actionCount} actions, ` +
        `but one has [${other.observationShape.join(', ')}] and ${other.actionCount}.`,
    );
  }
  const size = observationSize(description);
  const write = (all: Float32Array, row: number, observation: ArrayLike<number>): void => {
    if (observation.length !== size) {
      throw new RangeError(`${name}: an observation must have ${size} numbers, but has ${observation.length}.`);
    }
    all.set(observation, row * size);
  };
  let running: { number: number; total: number; length: number }[] = [];
  const begin = async (all: Float32Array, row: number, number: number): Promise<void> => {
    running[row] = { number, total: 0, length: 0 };
    const episodeSeed = createRandom(seed, name, split, number).integer(2 ** 31);
    write(all, row, await (simulators[row] as Simulator).reset(episodeSeed));
  };

  return {
    ...description,
    reset: async () => {
      const all = new Float32Array(simulators.length * size);
      running = [];
      await Promise.all(simulators.map((_, row) => begin(all, row, row)));
      return all;
    },
    step: async (actions) => {
      if (running.length === 0) throw new Error(`${name}: call reset() before step().`);
      assertActions(description, actions);
      const step = emptyStep(description);
      const act = async (simulator: Simulator, row: number): Promise<void> => {
        const { observation, ...outcome } = await simulator.step(actions[row] as number);
        const episode = running[row] as (typeof running)[number];
        episode.total += outcome.reward;
        episode.length++;
        const hasEnded = record(step, row, outcome, episode.total, episode.length);
        write(hasEnded ? step.finalObservations : step.observations, row, observation);
        if (hasEnded) await begin(step.observations, row, episode.number + simulators.length);
      };
      await Promise.all(simulators.map(act));
      return step;
    },
  };
}
