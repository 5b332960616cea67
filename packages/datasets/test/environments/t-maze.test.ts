import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTIONS, tMaze } from '../../src/environments/index.ts';
import { atRandom, play, solvedShare, type View } from './play.ts';

/** Walks to the junction and turns to where the cue was, or always to the north. */
const walker = (remembers: boolean) => {
  const cues = new Map<number, number>();
  return ({ row, observation, isFirst }: View) => {
    if (isFirst) cues.set(row, observation[ACTIONS.north] === 1 ? ACTIONS.north : ACTIONS.south);
    if (observation[3] === 0) return ACTIONS.east;
    return remembers ? (cues.get(row) as number) : ACTIONS.north;
  };
};

describe('tMaze', () => {
  test('is solved by an agent that remembers the cue, in corridor + 1 steps', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(1000), (corridor, seed) => {
        const episodes = play(tMaze({ corridor, seed, batchSize: 4 }), 8, walker(true));
        expect(episodes).toEqual(
          episodes.map(() => ({ solved: true, truncated: false, total: 1, length: corridor + 1 })),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('is solved half the time without a memory of the cue', () => {
    const episodes = play(tMaze({ batchSize: 8 }), 2000, walker(false));
    expect(Math.abs(solvedShare(episodes) - 0.5)).toBeLessThan(0.04);
    expect(episodes.every(({ total, solved }) => total === (solved ? 1 : -1))).toBe(true);
  });

  test('the cue is seen in the first observation only, even at the start', () => {
    const environment = tMaze({ corridor: 2 });
    const goal = (observation: Float32Array) => [observation[0], observation[1]];
    const first = environment.reset();
    expect(goal(first)).toEqual(environment.episodes[0]?.goal === 0 ? [1, 0] : [0, 1]);
    const { observations, rewards } = environment.step([ACTIONS.west]);
    expect([...observations]).toEqual([0, 0, 1, 0]);
    expect(environment.episodes[0]?.position).toBe(0);
    expect(rewards[0]).toBeCloseTo(-0.1);
    expect([...environment.step([ACTIONS.east]).rewards]).toEqual([0]);
    expect([...environment.step([ACTIONS.east]).observations]).toEqual([0, 0, 0, 1]);
    expect(environment.step([ACTIONS.east]).rewards[0]).toBeCloseTo(-0.1);
    expect(environment.episodes[0]?.position).toBe(2);
    expect([...environment.step([ACTIONS.west]).observations]).toEqual([0, 0, 1, 0]);
  });

  test('an agent that is carried has only the choice', () => {
    const remembering = tMaze({ corridor: 40, carried: true, batchSize: 4 });
    expect(remembering.actionCount).toBe(2);
    const cues = new Map<number, number>();
    const episodes = play(remembering, 200, ({ row, observation, isFirst }) => {
      if (isFirst) cues.set(row, observation[0] === 1 ? 0 : 1);
      return cues.get(row) as number;
    });
    expect(solvedShare(episodes)).toBe(1);
    expect(episodes.every(({ total, length }) => total === 1 && length === 41)).toBe(true);
    expect(Math.abs(solvedShare(play(remembering, 2000, atRandom(remembering))) - 0.5)).toBeLessThan(0.04);
  });

  test('rewards and limits are options', () => {
    const environment = tMaze({ corridor: 1, goalReward: 4, wrongReward: -0.5, detourReward: -2, maximumSteps: 3 });
    expect(new Set(play(environment, 40, walker(false)).map(({ total }) => total))).toEqual(new Set([4, -0.5]));
    expect(play(environment, 1, () => ACTIONS.west)).toEqual([
      { solved: false, truncated: true, total: -6, length: 3 },
    ]);
    expect(() => tMaze({ corridor: 0 })).toThrow('t-maze: corridor must be an integer of at least 1, but is 0');
  });
});
