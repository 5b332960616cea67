/**
 * The benchmarks of "Linear Transformers Are Secretly Fast Weight Programmers" as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { capacity } from './capacity.ts';
export { charlm } from './charlm.ts';
export { updateRule } from './update-rule.ts';
