/**
 * Passive visual match: a colour is seen, then apples are collected for a long time, then the colour is to be found again.
 *
 *     look (15 steps)   collect (750 steps)     match (15 steps)
 *
 *                       # # # # # # # # # # #   # # # # # # # # # # #
 *         # # #         # a · · · a · a · · #   # · r · · g · · b · #
 *         # + r         # · · · a · · · · · #   # · · · · · · · · · #
 *         # # #         # · · a · · · · · a #   # · · · · · · · · · #
 *                       # · · · · · · a · · #   # # # # · · · # # # #
 *                       # a · a · + · · · · #         # · + · #
 *                       # # # # # # # # # # #         # # # # #
 *
 * The agent cannot move at first; one of the eight cells around it has the colour. Apples give small rewards and appear again
 * after a while, so that there is always something better to do than to think of the colour. Only what is at most two cells
 * away is seen. After Hung et al., "Optimizing Agent Behavior over Long Time Scales by Transporting Value" (2019), with the
 * settings of Irie, Yau, Gershman, "Blending Complementary Memory Systems in Hybrid Quadratic-Linear Transformers" (2025).
 * Colours of things other than the three to be matched, and the random numbers, are our own.
 */

import type { Random } from '../random.ts';
import { assertInteger } from '../task.ts';
import {
  createEnvironment,
  type EnvironmentOptions,
  type Episode,
  type Outcome,
  type SeededEnvironment,
} from './environment.ts';
import { type Cell, cells, isSame, neighbour } from './grid.ts';

/** Cells that are seen to each side. */
const SIGHT = 2;
const VIEW = 2 * SIGHT + 1;

/** Walls (#) and floor of the two rooms; the agent starts at the +. */
const COLLECT_ROOM = [
  '###########',
  '#         #',
  '#         #',
  '#         #',
  '#         #',
  '#    +    #',
  '###########',
];
const MATCH_ROOM = [
  '###########',
  '#         #',
  '#         #',
  '#         #',
  '####   ####',
  '   # + #   ',
  '   #####   ',
];
const START: Cell = { row: 5, column: 5 };
/** Where the coloured doors of passive visual match are, from west to east. */
export const VISUAL_MATCH_DOORS: readonly Cell[] = [2, 5, 8].map((column) => ({ row: 1, column }));
/** Where apples can grow: every second cell, as on a chess board. */
const ORCHARD: readonly Cell[] = cells(7, 11).filter(
  (cell) => COLLECT_ROOM[cell.row]?.[cell.column] === ' ' && (cell.row + cell.column) % 2 === 0,
);

type Colour = readonly [red: number, green: number, blue: number];
/** The red, green and blue of the floor in passive visual match: what most cells look like. */
export const VISUAL_MATCH_FLOOR: readonly [red: number, green: number, blue: number] = [0.8, 0.8, 0.8];
const WALL: Colour = [0.1, 0.1, 0.1];
const AGENT: Colour = [0.9, 0.6, 0.4];
const APPLE: Colour = [0.6, 0.7, 0];
const TARGETS: readonly Colour[] = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** Options of {@link passiveVisualMatch}. */
export interface PassiveVisualMatchOptions extends EnvironmentOptions {
  /** Steps in which the colour is seen. Default 15. */
  readonly lookSteps?: number;
  /** Steps in which apples are collected. Default 750. */
  readonly collectSteps?: number;
  /** Steps in which the colour is to be found. Default 15. */
  readonly matchSteps?: number;
  /** Apples, at most 22. Default 10. */
  readonly apples?: number;
  /** Steps until an apple that was collected is there again. Default 20. */
  readonly respawnSteps?: number;
  /** Reward of an apple. Default 1. */
  readonly appleReward?: number;
  /** Reward of the right colour. Default 100. */
  readonly matchReward?: number;
}

/** What there is to be seen. */
export interface PassiveVisualMatchEpisode extends Episode {
  /** What the agent is to do now. */
  readonly phase: 'look' | 'collect' | 'match';
  /** Where the agent is. */
  readonly agent: Cell;
  /** The colour to be remembered: 0 red, 1 green, 2 blue. */
  readonly target: number;
  /** The colours of the doors in the match phase, in the order of {@link VISUAL_MATCH_DOORS}. */
  readonly doors: readonly number[];
  /** The apples that are there. */
  readonly apples: readonly Cell[];
}

/**
 * Passive visual match. Observations `[5, 5, 3]`: the cells around the agent, which is in the middle, in red, green and blue
 * from 0 to 1. Actions: 0 north, 1 south, 2 west, 3 east. An episode ends when a colour has been chosen, by walking onto it, or
 * lookSteps + collectSteps + matchSteps are over; it is solved by the right colour.
 *
 * @throws RangeError if an option is out of range
 */
export function passiveVisualMatch({
  lookSteps = 15,
  collectSteps = 750,
  matchSteps = 15,
  apples: appleCount = 10,
  respawnSteps = 20,
  appleReward = 1,
  matchReward = 100,
  ...options
}: PassiveVisualMatchOptions = {}): SeededEnvironment<PassiveVisualMatchEpisode> {
  const name = 'passive-visual-match';
  assertInteger(`${name}: lookSteps`, lookSteps, 1);
  assertInteger(`${name}: collectSteps`, collectSteps, 0);
  assertInteger(`${name}: matchSteps`, matchSteps, 1);
  assertInteger(`${name}: apples`, appleCount, 0, ORCHARD.length);
  assertInteger(`${name}: respawnSteps`, respawnSteps, 1);

  const begin = (random: Random): PassiveVisualMatchEpisode => {
    const target = random.integer(TARGETS.length);
    const doors = [...random.permutation(TARGETS.length)];
    const shownAt = random.choice(cells(3, 3).filter((cell) => !isSame(cell, { row: 1, column: 1 })));
    const trees = [...random.sample(ORCHARD.length, appleCount)].map((i) => ({ ...(ORCHARD[i] as Cell), ripeAt: 0 }));
    let steps = 0;
    let agent = START;

    const phase = (): PassiveVisualMatchEpisode['phase'] => {
      if (steps < lookSteps) return 'look';
      return steps < lookSteps + collectSteps ? 'collect' : 'match';
    };
    const colourOf = (cell: Cell): Colour => {
      if (isSame(cell, agent)) return AGENT;
      const now = phase();
      if (now === 'look') {
        const place = { row: cell.row - START.row + 1, column: cell.column - START.column + 1 };
        if (isSame(place, shownAt)) return TARGETS[target] as Colour;
        return Math.max(Math.abs(place.row - 1), Math.abs(place.column - 1)) === 1 ? WALL : VISUAL_MATCH_FLOOR;
      }
      if (tileOf(now, cell) === '#') return WALL;
      if (now === 'match') {
        const door = VISUAL_MATCH_DOORS.findIndex((other) => isSame(other, cell));
        return door < 0 ? VISUAL_MATCH_FLOOR : (TARGETS[doors[door] as number] as Colour);
      }
      return trees.some((tree) => isSame(tree, cell) && tree.ripeAt <= steps) ? APPLE : VISUAL_MATCH_FLOOR;
    };
    return {
      target,
      doors,
      get phase() {
        return phase();
      },
      get agent() {
        return agent;
      },
      get apples() {
        return trees.filter(({ ripeAt }) => ripeAt <= steps).map(({ row, column }) => ({ row, column }));
      },
      observe: (observation) => {
        cells(VIEW, VIEW).forEach(({ row, column }, i) => {
          const seen = { row: agent.row + row - SIGHT, column: agent.column + column - SIGHT };
          observation.set(colourOf(seen), 3 * i);
        });
      },
      act: (action): Outcome => {
        const before = phase();
        const next = neighbour(agent, action);
        if (before !== 'look' && tileOf(before, next) !== '#') agent = next;
        steps++;
        if (before === 'collect') {
          const tree = trees.find((other) => isSame(other, agent) && other.ripeAt < steps);
          if (tree) tree.ripeAt = steps + respawnSteps;
          if (phase() === 'match') agent = START;
          return { reward: tree ? appleReward : 0 };
        }
        if (before === 'match') {
          const door = VISUAL_MATCH_DOORS.findIndex((other) => isSame(other, agent));
          const solved = door >= 0 && doors[door] === target;
          const isOver = door >= 0 || steps === lookSteps + collectSteps + matchSteps;
          return { reward: solved ? matchReward : 0, terminated: isOver, solved };
        }
        return { reward: 0 };
      },
    };
  };
  return createEnvironment({ name, observationShape: [VIEW, VIEW, 3], actionCount: 4, begin }, options);
}

function tileOf(phase: 'collect' | 'match', { row, column }: Cell): string | undefined {
  return (phase === 'collect' ? COLLECT_ROOM : MATCH_ROOM)[row]?.[column];
}
