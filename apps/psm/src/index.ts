/**
 * The experiments of "Sequential-Parallel Duality in Prefix-Scannable Models"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { stateTracking } from './state-tracking.ts';
