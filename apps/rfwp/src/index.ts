/**
 * The algorithmic benchmarks of "Going Beyond Linear Transformers with Recurrent Fast Weight Programmers" as experiments;
 * `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { codeExecution } from './code-execution.ts';
export { listOps } from './list-ops.ts';
