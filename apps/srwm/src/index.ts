/**
 * The experiments of "A Modern Self-Referential Weight Matrix That Learns to Modify Itself" and of "Accelerating Neural
 * Self-Improvement via Bootstrapping"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { bootstrapping } from './bootstrapping.ts';
export { fewShotLearning } from './few-shot.ts';
export { sequentialAdaptation } from './sequential.ts';
