/**
 * The benchmarks of "The Neural Data Router" as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { arithmetic } from './arithmetic.ts';
export { ctl } from './ctl.ts';
export { listOps } from './list-ops.ts';
