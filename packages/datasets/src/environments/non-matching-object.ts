/**
 * Two rooms and a choice by memory: in the first an object is shown, in the second lie the same and another one, and the
 * other one is to be taken.
 *
 *     · · 2 · ·             1 · · · 2
 *     · · · · ·             · · · · ·
 *     · p · · ·   (dark)    · · · · ·
 *     · · · + ·             · · · · ·
 *     · · · · ·             · · + · ·
 *
 * A grid version of the level rooms_select_nonmatching_object of DeepMind Lab: the object of the first room is out of reach,
 * a pad (p) leads to the second room and gives a reward, the object that does not match gives a large one, the matching
 * object as much less. Between the rooms it can be dark for a while, so that the two are never seen within one short
 * stretch of an episode.
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

/** Options of {@link nonMatchingObject}. */
export interface NonMatchingObjectOptions extends EnvironmentOptions {
  /** Rows and columns of a room, odd, at least 3. Default 5. */
  readonly size?: number;
  /** Different objects, at least 2. Default 4. */
  readonly objects?: number;
  /** Steps in the dark between the rooms, in which actions have no effect. Default 10. */
  readonly delay?: number;
  /** Reward at the pad. Default 1. */
  readonly padReward?: number;
  /** Reward of the object that does not match; the matching one gives its negative. Default 10. */
  readonly objectReward?: number;
  /** Steps after which an episode is truncated. Default 20 · size + delay. */
  readonly maximumSteps?: number;
}

/** What there is in the rooms. */
export interface NonMatchingObjectEpisode extends Episode {
  /** Where the agent is, in the first room, in the dark, or in the second room. */
  readonly room: 'first' | 'dark' | 'second';
  /** Where in the room. */
  readonly agent: Cell;
  /** The pad of the first room. */
  readonly pad: Cell;
  /** The objects of the room: one in the first, two in the second. */
  readonly objects: readonly PlacedObject[];
}

/** An object in a room. */
export interface PlacedObject extends Cell {
  /** Number of the object, 0 … objects − 1. */
  readonly object: number;
}

/**
 * Two grid rooms with a task of not matching. Observations `[size, size, 2 + objects]` show the whole room: 1 in channel 0 where
 * the agent is, in channel 1 at the pad, in channel 2 + i at object i; nothing but 0 in the dark. Actions: 0 north, 1 south,
 * 2 west, 3 east. An episode ends when an object is taken, by walking onto it, and is solved by the right one.
 *
 * @throws RangeError if an option is out of range
 */
export function nonMatchingObject({
  size = 5,
  objects: kinds = 4,
  delay = 10,
  padReward = 1,
  objectReward = 10,
  maximumSteps = 20 * size + delay,
  ...options
}: NonMatchingObjectOptions = {}): SeededEnvironment<NonMatchingObjectEpisode> {
  const name = 'non-matching-object';
  assertInteger(`${name}: size`, size, 3);
  assertInteger(`${name}: half of (size − 1)`, (size - 1) / 2, 1);
  assertInteger(`${name}: objects`, kinds, 2);
  assertInteger(`${name}: delay`, delay, 0);
  assertInteger(`${name}: maximumSteps`, maximumSteps, 1);
  const middle = (size - 1) / 2;
  const shownAt: Cell = { row: 0, column: middle };
  const free = cells(size, size).filter((cell) => !isSame(cell, shownAt));

  const begin = (random: Random): NonMatchingObjectEpisode => {
    const [shown, other] = random.sample(kinds, 2) as unknown as [number, number];
    const [padAt, agentAt] = random.sample(free.length, 2) as unknown as [number, number];
    const isOtherLeft = random.integer(2) === 0;
    const pad = free[padAt] as Cell;
    const choices = [
      { row: 0, column: 0, object: isOtherLeft ? other : shown },
      { row: 0, column: size - 1, object: isOtherLeft ? shown : other },
    ];
    let room: NonMatchingObjectEpisode['room'] = 'first';
    let agent = free[agentAt] as Cell;
    let darkSteps = 0;

    const isOpen = (cell: Cell): boolean => {
      const { row, column } = cell;
      const isInside = row >= 0 && row < size && column >= 0 && column < size;
      return isInside && !(room === 'first' && isSame(cell, shownAt));
    };
    const enterSecond = (): void => {
      room = 'second';
      agent = { row: size - 1, column: middle };
    };
    const placed = (): readonly PlacedObject[] => {
      if (room === 'dark') return [];
      return room === 'first' ? [{ ...shownAt, object: shown }] : choices;
    };
    return {
      pad,
      get room() {
        return room;
      },
      get agent() {
        return agent;
      },
      get objects() {
        return placed();
      },
      observe: (observation) => {
        if (room === 'dark') return;
        const mark = ({ row, column }: Cell, channel: number): void => {
          observation[(row * size + column) * (2 + kinds) + channel] = 1;
        };
        mark(agent, 0);
        if (room === 'first') mark(pad, 1);
        for (const thing of placed()) mark(thing, 2 + thing.object);
      },
      act: (action): Outcome => {
        if (room === 'dark') {
          darkSteps++;
          if (darkSteps === delay) enterSecond();
          return { reward: 0 };
        }
        const next = neighbour(agent, action);
        if (isOpen(next)) agent = next;
        if (room === 'first') {
          if (!isSame(agent, pad)) return { reward: 0 };
          room = 'dark';
          if (delay === 0) enterSecond();
          return { reward: padReward };
        }
        const taken = choices.find((choice) => isSame(choice, agent));
        if (taken === undefined) return { reward: 0 };
        const solved = taken.object === other;
        return { reward: solved ? objectReward : -objectReward, terminated: true, solved };
      },
    };
  };
  const rules = { name, observationShape: [size, size, 2 + kinds], actionCount: 4, maximumSteps, begin };
  return createEnvironment(rules, options);
}
