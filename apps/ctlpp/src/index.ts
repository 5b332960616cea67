/**
 * The benchmarks of "CTL++" as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { overlap } from './overlap.ts';
export { alternatingGroups, repeatedGroups } from './patterns.ts';
