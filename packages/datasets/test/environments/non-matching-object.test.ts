import { describe, expect, test } from 'vitest';
import { ACTIONS, type Cell, nonMatchingObject } from '../../src/environments/index.ts';
import { atRandom, play, solvedShare, type View } from './play.ts';

/** The cells of a room in which a channel is 1. */
function cellsOf(observation: Float32Array, size: number, channels: number, channel: number): Cell[] {
  return Array.from({ length: size * size }, (_, i) => i)
    .filter((i) => observation[i * channels + channel] === 1)
    .map((i) => ({ row: Math.floor(i / size), column: i % size }));
}

/** The first step of a way that avoids the object in the top row: along another row, then along the column. */
function towards(from: Cell, to: Cell): number {
  if (from.column === to.column) return from.row < to.row ? ACTIONS.south : ACTIONS.north;
  if (from.row === 0) return ACTIONS.south;
  return from.column < to.column ? ACTIONS.east : ACTIONS.west;
}

/** Goes to the pad, then to the object that it has not seen before, or to the left one. */
const agent = (size: number, kinds: number, remembers: boolean) => {
  const shown = new Map<number, number>();
  return ({ row, observation, isFirst }: View) => {
    const where = (channel: number) => cellsOf(observation, size, 2 + kinds, channel);
    const [here] = where(0);
    if (here === undefined) return ACTIONS.north; // in the dark
    const objects = Array.from({ length: kinds }, (_, object) => object).filter((object) => where(2 + object).length);
    if (isFirst) shown.set(row, objects[0] as number);
    const [pad] = where(1);
    if (pad) return towards(here, pad);
    const wanted = remembers
      ? objects.find((object) => object !== shown.get(row))
      : objects.find((object) => where(2 + object)[0]?.column === 0);
    return towards(here, where(2 + (wanted as number))[0] as Cell);
  };
};

describe('nonMatchingObject', () => {
  test.each([
    { size: 3, objects: 2, delay: 0 },
    { size: 5, objects: 4, delay: 10 },
    { size: 7, objects: 6, delay: 40 },
  ])('is solved by an agent that remembers the object: %o', (options) => {
    const environment = nonMatchingObject({ ...options, batchSize: 4 });
    const episodes = play(environment, 400, agent(options.size, options.objects, true));
    expect(solvedShare(episodes)).toBe(1);
    expect(episodes.every(({ total }) => total === 11)).toBe(true);
    // From the middle of the last row to a corner, and at least one step to the pad.
    const least = 1 + options.delay + (options.size - 1) / 2 + options.size - 1;
    expect(Math.min(...episodes.map(({ length }) => length))).toBe(least);
  });

  test('is solved half the time without a memory of it, with a mean reward of 1', () => {
    const episodes = play(nonMatchingObject({ batchSize: 8 }), 2000, agent(5, 4, false));
    expect(Math.abs(solvedShare(episodes) - 0.5)).toBeLessThan(0.04);
    expect(episodes.every(({ total, solved }) => total === (solved ? 11 : -9))).toBe(true);
  });

  test('an agent that walks at random takes the right and the wrong one as often', () => {
    const environment = nonMatchingObject({ size: 3, batchSize: 8, maximumSteps: 1000 });
    const episodes = play(environment, 2000, atRandom(environment));
    expect(Math.abs(solvedShare(episodes) - 0.5)).toBeLessThan(0.04);
  });

  test('the first room has a pad and one object, the second two, the dark nothing', () => {
    const environment = nonMatchingObject({ delay: 3, batchSize: 2, seed: 1 });
    const act = agent(5, 4, true);
    const seen = { first: 0, dark: 0, second: 0 };
    let isFirst = true;
    let observations = environment.reset();
    for (let i = 0; i < 200; i++) {
      const actions = environment.episodes.map((episode, row) => {
        const observation = observations.subarray(row * 150, (row + 1) * 150);
        const things = [0, 1, 2, 3].flatMap((object) => cellsOf(observation, 5, 6, 2 + object));
        const counts = [cellsOf(observation, 5, 6, 0).length, cellsOf(observation, 5, 6, 1).length, things.length];
        expect(counts).toEqual({ first: [1, 1, 1], dark: [0, 0, 0], second: [1, 0, 2] }[episode.room]);
        seen[episode.room]++;
        return act({ row, observation, isFirst });
      });
      const step = environment.step(actions);
      ({ observations } = step);
      isFirst = step.ended.includes(1);
      if (isFirst) observations = environment.reset();
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
  });

  test('the object of the first room is out of reach and walls stop the agent', () => {
    const environment = nonMatchingObject({ batchSize: 16, maximumSteps: 50 });
    environment.reset();
    const act = atRandom(environment);
    for (let i = 0; i < 300; i++) {
      const view = { row: 0, observation: new Float32Array(), isFirst: false };
      environment.step(Array.from({ length: 16 }, () => act(view)));
      for (const { room, agent: at, objects } of environment.episodes) {
        expect([at.row, at.column].every((place) => place >= 0 && place < 5)).toBe(true);
        if (room === 'first') expect([at.row, at.column]).not.toEqual([objects[0]?.row, objects[0]?.column]);
      }
    }
  });

  test('refuses a room that is none', () => {
    expect(() => nonMatchingObject({ size: 4 })).toThrow('half of (size − 1) must be an integer of at least 1');
    expect(() => nonMatchingObject({ objects: 1 })).toThrow('objects must be an integer of at least 2, but is 1');
  });
});
