/**
 * T-maze: a cue at the start of a corridor says on which side of its other end the goal is.
 *
 *                          ┌──┐
 *     ┌────────────────────┘N │
 *     │cue   →                │
 *     └────────────────────┐S │
 *                          └──┘
 *
 * Between cue and choice there are as many steps as the corridor is long, in which nothing is seen that tells one side from
 * the other; without a memory of the cue, half of all choices are wrong. After Bakker, "Reinforcement Learning with Long
 * Short-Term Memory" (2001), with rewards of our own.
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
import { ACTIONS } from './grid.ts';

/** Options of {@link tMaze}. */
export interface TMazeOptions extends EnvironmentOptions {
  /** Steps from the start to the junction. Default 20. */
  readonly corridor?: number;
  /**
   * Whether the agent is carried along the corridor: then there are only the actions north and south, which count at the
   * junction, and memory alone is tested. Default `false`: it walks and has all four.
   */
  readonly carried?: boolean;
  /** Reward at the goal. Default 1. */
  readonly goalReward?: number;
  /** Reward at the wrong side. Default −1. */
  readonly wrongReward?: number;
  /** Reward of a step that leads neither along the corridor nor to a side. Default −0.1. */
  readonly detourReward?: number;
  /** Steps after which an episode is truncated. Default 10 · (corridor + 1). */
  readonly maximumSteps?: number;
}

/** A run through the maze. */
export interface TMazeEpisode extends Episode {
  /** Steps from the start, 0 … corridor. */
  readonly position: number;
  /** The action that leads to the goal at the junction: north (0) or south (1). */
  readonly goal: number;
}

/**
 * T-maze. Observations `[4]`: cue for north, cue for south (both only in the first observation), in the corridor, at the
 * junction. Actions: 0 north, 1 south, 2 west, 3 east, or the first two. An episode ends at either side and is solved at
 * the goal; the best has corridor + 1 steps.
 *
 * @throws RangeError if an option is out of range
 */
export function tMaze({
  corridor = 20,
  carried = false,
  goalReward = 1,
  wrongReward = -1,
  detourReward = -0.1,
  maximumSteps = 10 * (corridor + 1),
  ...options
}: TMazeOptions = {}): SeededEnvironment<TMazeEpisode> {
  const name = 't-maze';
  assertInteger(`${name}: corridor`, corridor, 1);
  assertInteger(`${name}: maximumSteps`, maximumSteps, 1);

  const begin = (random: Random): TMazeEpisode => {
    const goal = random.integer(2);
    let position = 0;
    let steps = 0;
    const walk = (action: number): number => {
      const next = position + (carried || action === ACTIONS.east ? 1 : action === ACTIONS.west ? -1 : 0);
      const isForward = next > position && next <= corridor;
      position = Math.min(Math.max(next, 0), corridor);
      return isForward ? 0 : detourReward;
    };
    return {
      goal,
      get position() {
        return position;
      },
      observe: (observation) => {
        if (steps === 0) observation[goal] = 1;
        observation[position < corridor ? 2 : 3] = 1;
      },
      act: (action): Outcome => {
        steps++;
        const chooses = position === corridor && (action === ACTIONS.north || action === ACTIONS.south);
        if (!chooses) return { reward: walk(action) };
        const solved = action === goal;
        return { reward: solved ? goalReward : wrongReward, terminated: true, solved };
      },
    };
  };
  const rules = { name, observationShape: [4], actionCount: carried ? 2 : 4, maximumSteps, begin };
  return createEnvironment(rules, options);
}
