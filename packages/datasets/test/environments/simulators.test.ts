import { describe, expect, test } from 'vitest';
import { type Environment, type Simulator, simulatorEnvironment, tMaze } from '../../src/environments/index.ts';

/** A simulator that answers later: it shows its seed and its steps, and ends after `length` of them. */
const counter = (length: number, seeds: number[] = []): Simulator => {
  let [seed, steps] = [0, 0];
  return {
    name: 'counter',
    observationShape: [2],
    actionCount: 3,
    reset: async (given) => {
      seeds.push(given);
      [seed, steps] = [given % 1000, 0];
      return [seed, steps];
    },
    step: async (action) => {
      steps++;
      return { observation: [seed, steps], reward: action, terminated: steps === length, solved: action === 2 };
    },
  };
};

/** An environment of this package as a simulator that answers at once. */
const asSimulator = (environment: Environment): Simulator => ({
  ...environment,
  reset: () => environment.reset(),
  step: (action) => {
    const step = environment.step([action]);
    return {
      observation: step.ended[0] ? step.finalObservations : step.observations,
      reward: step.rewards[0] as number,
      terminated: step.terminated[0] === 1,
      truncated: step.truncated[0] === 1,
      solved: step.solved[0] === 1,
    };
  },
});

describe('simulatorEnvironment', () => {
  test('steps all simulators and starts the next episode where one has ended', async () => {
    const seeds: number[][] = [[], []];
    const environment = simulatorEnvironment([counter(1, seeds[0]), counter(2, seeds[1])]);
    expect(environment).toMatchObject({ name: 'counter', batchSize: 2, observationShape: [2], actionCount: 3 });
    await environment.reset();
    const first = await environment.step([2, 1]);
    const at = (row: number, episode: number) => (seeds[row]?.[episode] as number) % 1000;
    expect(first).toEqual({
      observations: Float32Array.of(at(0, 1), 0, at(1, 0), 1),
      rewards: Float32Array.of(2, 1),
      terminated: Uint8Array.of(1, 0),
      truncated: Uint8Array.of(0, 0),
      ended: Uint8Array.of(1, 0),
      finalObservations: Float32Array.of(at(0, 0), 1, 0, 0),
      solved: Uint8Array.of(1, 0),
      episodeReturns: Float64Array.of(2, 0),
      episodeLengths: Int32Array.of(1, 0),
    });
    const second = await environment.step([1, 2]);
    expect([...second.ended]).toEqual([1, 1]);
    expect([...second.episodeReturns]).toEqual([1, 3]);
    expect([...second.episodeLengths]).toEqual([1, 2]);
  });

  test('gives every episode a seed of its own, the same ones each time', async () => {
    const play = async (seed: number) => {
      const seeds: number[] = [];
      const environment = simulatorEnvironment([counter(2, seeds), counter(2, seeds)], { seed });
      await environment.reset();
      for (let i = 0; i < 6; i++) await environment.step([0, 0]);
      return seeds;
    };
    const seeds = await play(1);
    expect(seeds.length).toBe(8);
    expect(new Set([...seeds, ...(await play(2))]).size).toBe(16);
    expect(await play(1)).toEqual(seeds);
  });

  test.each([
    ['truncated', [2, 2, 2, 2]],
    ['north', [3, 3, 0]],
    ['south', [3, 3, 1]],
  ])('says of truncation and success what the simulator says: %s', async (_, actions) => {
    const create = () => tMaze({ corridor: 2, detourReward: -0.5, maximumSteps: 4 });
    const [direct, adapted] = [create(), simulatorEnvironment([asSimulator(create())])];
    expect(await adapted.reset()).toEqual(direct.reset());
    for (const action of actions) {
      const { observations: _next, ...expected } = direct.step([action]);
      expect(await adapted.step([action])).toMatchObject(expected);
    }
  });

  test('refuses none, different ones, wrong observations and a step before the first reset', async () => {
    expect(() => simulatorEnvironment([])).toThrow('at least one simulator is needed');
    expect(() => simulatorEnvironment([counter(1), { ...counter(1), actionCount: 2 }])).toThrow(
      'counter: all simulators must have observations [2] and 3 actions, but one has [2] and 2',
    );
    const environment = simulatorEnvironment([{ ...counter(2), observationShape: [3] }]);
    await expect(environment.step([0])).rejects.toThrow('call reset() before step()');
    await expect(environment.reset()).rejects.toThrow('an observation must have 3 numbers, but has 2');
    const good = simulatorEnvironment([counter(2)]);
    await good.reset();
    await expect(good.step([3])).rejects.toThrow('action 0 must be an integer from 0 to 2, but is 3');
  });
});
