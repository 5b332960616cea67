/**
 * The benchmarks of "The Neural Data Router" as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { ctl } from './ctl.ts';
