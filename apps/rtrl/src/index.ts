/**
 * The experiments of "Exploring the Promise and Limits of Real-Time Recurrent Learning"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { copy } from './copy.ts';
export { delayedRecall } from './delayed-recall.ts';
export { externalSimulators, type SimulatorSettings } from './external-simulators.ts';
export { gradientCheck } from './gradient-check.ts';
export { rooms } from './rooms.ts';
export { tMaze } from './t-maze.ts';
