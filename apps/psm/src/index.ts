/**
 * The experiments of "Sequential-Parallel Duality in Prefix-Scannable Models"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { latency } from './latency.ts';
export { lm } from './lm.ts';
export { mqar } from './mqar.ts';
export { stateTracking } from './state-tracking.ts';
