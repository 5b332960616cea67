/**
 * Environments for reinforcement and online learning: seeded, many episodes side by side, typed arrays. Runs in browsers and
 * Node.
 *
 * @packageDocumentation
 */

export { type CartPoleEpisode, type CartPoleOptions, type CartPoleState, cartPole } from './cart-pole.ts';
export {
  createEnvironment,
  type Environment,
  type EnvironmentDescription,
  type EnvironmentOptions,
  type EnvironmentRules,
  type EnvironmentSnapshot,
  type EnvironmentStep,
  type Episode,
  type Outcome,
  type SeededEnvironment,
} from './environment.ts';
export { ACTIONS, type Cell } from './grid.ts';
export {
  type NonMatchingObjectEpisode,
  type NonMatchingObjectOptions,
  nonMatchingObject,
  type PlacedObject,
} from './non-matching-object.ts';
export {
  type PassiveVisualMatchEpisode,
  type PassiveVisualMatchOptions,
  passiveVisualMatch,
  VISUAL_MATCH_DOORS,
  VISUAL_MATCH_FLOOR,
} from './passive-visual-match.ts';
export {
  type AsyncEnvironment,
  type Simulator,
  type SimulatorOptions,
  type SimulatorStep,
  simulatorEnvironment,
} from './simulators.ts';
export { type TMazeEpisode, type TMazeOptions, tMaze } from './t-maze.ts';
export { type TokenEnvironmentOptions, type TokenEpisode, tokenEnvironment } from './token-environment.ts';
