import { describe, expect, test } from 'vitest';
import { ACTIONS, type PassiveVisualMatchEpisode, passiveVisualMatch } from '../../src/environments/index.ts';
import { atRandom, play, solvedShare, type View } from './play.ts';

const TARGETS = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** The cell of a 5 × 5 view, in thousandths so that float32 numbers compare. */
const pixel = ({ observation }: Pick<View, 'observation'>, row: number, column: number) =>
  [0, 1, 2].map((channel) => Math.round((observation[(row * 5 + column) * 3 + channel] as number) * 1000) / 1000);

/** The colour to be remembered that is in sight, if there is one. */
const colourInSight = (view: Pick<View, 'observation'>) =>
  TARGETS.findIndex((target) =>
    Array.from({ length: 25 }, (_, i) => pixel(view, Math.floor(i / 5), i % 5)).some((c) => c.join() === target.join()),
  );

/** Remembers the colour (or takes the first) and walks to the door that has it, which it finds by looking at it. */
const matcher = (environment: { readonly episodes: readonly PassiveVisualMatchEpisode[] }, remembers: boolean) => {
  const colours = new Map<number, number>();
  return (view: View) => {
    if (view.isFirst) colours.set(view.row, colourInSight(view));
    const { phase, agent, doors } = environment.episodes[view.row] as PassiveVisualMatchEpisode;
    if (phase !== 'match') return ACTIONS.north;
    const door = remembers ? doors.indexOf(colours.get(view.row) as number) : 1;
    const column = 2 + 3 * door;
    if (agent.row > 2) return ACTIONS.north;
    if (agent.column === column) return ACTIONS.north;
    return agent.column < column ? ACTIONS.east : ACTIONS.west;
  };
};

describe('passiveVisualMatch', () => {
  const short = { collectSteps: 30, batchSize: 8 };

  test('is solved by an agent that remembers the colour', () => {
    const environment = passiveVisualMatch(short);
    const episodes = play(environment, 200, matcher(environment, true));
    expect(solvedShare(episodes)).toBe(1);
    expect(episodes.every(({ total }) => total >= 100)).toBe(true);
  });

  test('is solved one time in three by an agent that always takes the same door', () => {
    const environment = passiveVisualMatch(short);
    const episodes = play(environment, 2000, matcher(environment, false));
    expect(Math.abs(solvedShare(episodes) - 1 / 3)).toBeLessThan(0.04);
    // It walks the four steps north from the start: the last one is a door.
    expect(episodes.every(({ length }) => length === 15 + 30 + 4)).toBe(true);
  });

  test('is rarely solved at random', () => {
    const environment = passiveVisualMatch(short);
    expect(solvedShare(play(environment, 1000, atRandom(environment)))).toBeLessThan(0.1);
  });

  test('has 780 steps at most, with the settings of the paper', () => {
    const environment = passiveVisualMatch();
    expect(environment.observationShape).toEqual([5, 5, 3]);
    const [episode] = play(environment, 1, () => ACTIONS.south);
    expect(episode).toMatchObject({ length: 780, solved: false, truncated: false });
  });

  test('the colour is seen while the agent cannot move, in one of the cells around it, and then no more', () => {
    const environment = passiveVisualMatch({ collectSteps: 40, batchSize: 20 });
    let observations = environment.reset();
    for (let i = 0; i < 55; i++) {
      environment.episodes.forEach(({ phase, agent, target }, row) => {
        const view = { observation: observations.subarray(75 * row, 75 * (row + 1)) };
        expect(phase).toBe(i < 15 ? 'look' : 'collect');
        expect(colourInSight(view)).toBe(i < 15 ? target : -1);
        if (i < 15) expect(agent).toEqual({ row: 5, column: 5 });
        expect(pixel(view, 2, 2)).toEqual([0.9, 0.6, 0.4]);
      });
      ({ observations } = environment.step(environment.episodes.map((_, row) => (row + i) % 4)));
    }
    expect(environment.episodes.every(({ phase }) => phase === 'match')).toBe(true);
  });

  test('colours, doors and cells are drawn evenly', () => {
    const environment = passiveVisualMatch({ batchSize: 3000 });
    environment.reset();
    for (let colour = 0; colour < 3; colour++) {
      const counts = [
        environment.episodes.filter(({ target }) => target === colour),
        environment.episodes.filter(({ doors }) => doors[0] === colour),
        environment.episodes.filter(({ doors, target }) => doors[2] === target && target === colour),
      ].map(({ length }) => length);
      expect(Math.abs((counts[0] as number) - 1000)).toBeLessThan(110);
      expect(Math.abs((counts[1] as number) - 1000)).toBeLessThan(110);
      expect(Math.abs((counts[2] as number) - 333)).toBeLessThan(70);
    }
  });

  test('there are ten apples; one that is collected gives a reward and is there again after 20 steps', () => {
    const environment = passiveVisualMatch({ lookSteps: 1, collectSteps: 400, seed: 2 });
    environment.reset();
    const act = atRandom(environment);
    const gone = new Map<string, number>();
    let collected = 0;
    environment.step([0]);
    expect(environment.episodes[0]?.apples.length).toBe(10);
    for (let i = 0; i < 399; i++) {
      const before = environment.episodes[0]?.apples.map(({ row, column }) => `${row} ${column}`) ?? [];
      const { rewards } = environment.step([act({ row: 0, observation: new Float32Array(), isFirst: false })]);
      const { agent, apples } = environment.episodes[0] as PassiveVisualMatchEpisode;
      const here = `${agent.row} ${agent.column}`;
      expect(rewards[0]).toBe(before.includes(here) ? 1 : 0);
      if (rewards[0] === 1) {
        collected++;
        gone.set(here, i + 20);
      }
      for (const [place, until] of gone)
        expect(apples.some(({ row, column }) => `${row} ${column}` === place)).toBe(i >= until);
    }
    expect(collected).toBeGreaterThan(20);
  });

  test('refuses more apples than there are places', () => {
    expect(() => passiveVisualMatch({ apples: 23 })).toThrow('apples must be an integer from 0 to 22, but is 23');
  });
});
