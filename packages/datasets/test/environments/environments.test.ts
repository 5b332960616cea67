/** What every environment promises, whatever it is about. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cartPole,
  createEnvironment,
  type EnvironmentOptions,
  type Episode,
  nonMatchingObject,
  passiveVisualMatch,
  type SeededEnvironment,
  tMaze,
  tokenEnvironment,
} from '../../src/environments/index.ts';
import { copyReleased, copyStrict, delayedRecall, type Split } from '../../src/index.ts';
import { digest } from '../digest.ts';
import { atRandom, history, play } from './play.ts';

type Create = (options: EnvironmentOptions) => SeededEnvironment;

/** Each environment, and the fingerprint of 50 random steps of three episodes side by side, with seed 1. */
const environments: [string, Create, string][] = [
  ['cartPole', cartPole, '22c960fbf3f65dbb'],
  [
    'copyReleased',
    ({ seed = 0, ...options }) => tokenEnvironment(copyReleased({ maximumBits: 4, seed }), options),
    '4da68ff3f82f6541',
  ],
  [
    'copyStrict',
    ({ seed = 0, ...options }) => tokenEnvironment(copyStrict({ maximumBits: 4, seed }), options),
    'a5c3e91319d1cd64',
  ],
  [
    'delayedRecall',
    ({ seed = 0, ...options }) => tokenEnvironment(delayedRecall({ delay: 7, seed }), options),
    '533fe5a63022bdf2',
  ],
  ['nonMatchingObject', (options) => nonMatchingObject({ size: 3, delay: 2, ...options }), 'fb5c1b7220c58773'],
  [
    'passiveVisualMatch',
    (options) => passiveVisualMatch({ lookSteps: 2, collectSteps: 10, matchSteps: 8, ...options }),
    '9dcda93f9b8006b1',
  ],
  ['tMaze', (options) => tMaze({ corridor: 3, ...options }), 'bddf787cbafd79dd'],
  ['tMaze, carried', (options) => tMaze({ corridor: 3, carried: true, ...options }), '5c4bf2284f3c56b0'],
];

describe.each(environments)('%s', (_, create, fingerprint) => {
  test('has the same bytes on every platform', () => {
    expect(digest(...history(create({ batchSize: 3, seed: 1 }), 50))).toBe(fingerprint);
  });

  test('all that happens depends on nothing but seed, split and actions', () => {
    const splits: Split[] = ['train', 'validation', 'test'];
    const options = fc.record({
      seed: fc.nat(),
      split: fc.constantFrom(...splits),
      batchSize: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(options, (given) => {
        const environment = create(given);
        const seen = digest(...history(environment, 30));
        expect(digest(...history(environment, 30))).toBe(seen);
        expect(digest(...history(create(given), 30))).toBe(seen);
      }),
      { numRuns: 10 },
    );
  });

  test('seeds and splits differ', () => {
    const given: EnvironmentOptions[] = [{ seed: 1 }, { seed: 2 }, { seed: 1, split: 'validation' }, { split: 'test' }];
    const seen = given.map((options) => digest(...history(create({ batchSize: 4, ...options }), 40)));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('goes on from a snapshot as if it had never stopped', () => {
    const environment = create({ batchSize: 3, seed: 4 });
    history(environment, 33);
    const snapshot = JSON.parse(JSON.stringify(environment.snapshot()));
    const other = create({ batchSize: 3, seed: 4 });
    const observations = other.restore(snapshot);
    const actions = [0, 1, 0];
    for (let i = 0; i < 40; i++) {
      const step = environment.step(actions);
      expect(other.step(actions)).toEqual(step);
      if (i === 0) expect(observations.length).toBe(step.observations.length);
    }
    expect(other.snapshot()).toEqual(environment.snapshot());
    expect(() => create({ batchSize: 2 }).restore(snapshot)).toThrow("a snapshot of 3 episodes can't go on as 2");
  });

  test('a large batch plays the same episodes as a small one', () => {
    const sorted = (batchSize: number) => {
      const environment = create({ batchSize, seed: 2 });
      environment.reset();
      const first = new Map<number, string>();
      // The first observations of the first eight episodes.
      for (let i = 0; i < 4000 && first.size < 8; i++) {
        const { episodes, actions } = environment.snapshot();
        environment.episodes.forEach((episode, row) => {
          const observation = new Float32Array(environment.observationShape.reduce((a, b) => a * b));
          episode.observe(observation);
          const number = episodes[row] as number;
          if (actions[row]?.length === 0 && number < 8) first.set(number, observation.join());
        });
        environment.step(Array.from({ length: batchSize }, (_, row) => (i + row) % environment.actionCount));
      }
      return [...first].sort(([a], [b]) => a - b);
    };
    expect(sorted(1)).toEqual(sorted(4));
    expect(sorted(1).length).toBe(8);
  });

  test('refuses actions that are none, a step before the first reset, and a batch of none', () => {
    const environment = create({ batchSize: 2 });
    const { name, actionCount } = environment;
    expect(() => environment.step([0, 0])).toThrow(`${name}: call reset() before step()`);
    environment.reset();
    expect(() => environment.step([0])).toThrow('2 actions are needed, but there are 1');
    const range = `action 1 must be an integer from 0 to ${actionCount - 1}`;
    expect(() => environment.step([0, actionCount])).toThrow(range);
    expect(() => environment.step([0, 0.5])).toThrow(range);
    expect(() => create({ batchSize: 0 })).toThrow('batchSize must be an integer of at least 1, but is 0');
    expect(() => create({ split: 'dev' as Split })).toThrow('split must be one of train, validation, test');
  });

  test('returns and lengths are those of the episodes', () => {
    const environment = create({ batchSize: 2, seed: 3 });
    const totals = [0, 0];
    const lengths = [0, 0];
    let ended = 0;
    const act = atRandom(environment);
    environment.reset();
    while (ended < 6) {
      const step = environment.step([0, 1].map((row) => act({ row, observation: new Float32Array(), isFirst: false })));
      for (const row of [0, 1]) {
        totals[row]! += step.rewards[row]!;
        lengths[row]!++;
        const hasEnded = step.ended[row] === 1;
        expect(hasEnded).toBe(step.terminated[row] === 1 || step.truncated[row] === 1);
        expect([step.terminated[row], step.truncated[row]]).not.toEqual([1, 1]);
        expect(step.episodeLengths[row]).toBe(hasEnded ? lengths[row] : 0);
        expect(step.episodeReturns[row]).toBeCloseTo(hasEnded ? totals[row]! : 0, 4);
        if (!hasEnded) continue;
        ended++;
        [totals[row], lengths[row]] = [0, 0];
      }
    }
  });
});

/** Counts its steps, which are observed; ends by itself after `length`. */
const counting = (length: number, maximumSteps?: number) =>
  createEnvironment(
    {
      name: 'counting',
      observationShape: [2],
      actionCount: 3,
      ...(maximumSteps === undefined ? {} : { maximumSteps }),
      begin: (_, number): Episode => {
        let steps = 0;
        return {
          observe: (observation) => observation.set([number, steps]),
          act: (action) => ({ reward: action, terminated: ++steps === length, solved: action === 2 }),
        };
      },
    },
    { batchSize: 2 },
  );

describe('createEnvironment', () => {
  test('an episode that ends is followed by the next in the same step', () => {
    const environment = counting(2);
    expect([...environment.reset()]).toEqual([0, 0, 1, 0]);
    expect(environment.step([1, 0])).toMatchObject({
      observations: Float32Array.of(0, 1, 1, 1),
      ended: Uint8Array.of(0, 0),
    });
    expect(environment.step(Int32Array.of(2, 1))).toEqual({
      observations: Float32Array.of(2, 0, 3, 0),
      rewards: Float32Array.of(2, 1),
      terminated: Uint8Array.of(1, 1),
      truncated: Uint8Array.of(0, 0),
      ended: Uint8Array.of(1, 1),
      finalObservations: Float32Array.of(0, 2, 1, 2),
      solved: Uint8Array.of(1, 0),
      episodeReturns: Float64Array.of(3, 1),
      episodeLengths: Int32Array.of(2, 2),
    });
  });

  test('an episode that takes too long is truncated; one that ends in time is not', () => {
    const ends = (length: number) =>
      play(counting(length, 3), 4, () => 1).map(({ truncated, length: n }) => [n, truncated]);
    expect(ends(5)).toEqual(Array.from({ length: 4 }, () => [3, true]));
    expect(ends(3)).toEqual(Array.from({ length: 4 }, () => [3, false]));
  });

  test('a refused action leaves everything as it was', () => {
    const environment = counting(5);
    environment.reset();
    const before = environment.snapshot();
    expect(() => environment.step([1, 3])).toThrow('counting: action 1 must be an integer from 0 to 2, but is 3');
    expect(environment.snapshot()).toEqual(before);
  });
});
