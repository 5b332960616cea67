/**
 * The benchmarks of "The Devil is in the Detail" as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { scan } from './scan.ts';
