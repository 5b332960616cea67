/**
 * The benchmarks of two papers on mixtures of experts as experiments; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { lm } from './lm.ts';
export { routerUsage } from './router-usage.ts';
export { scaling } from './scaling.ts';
export { switchhead } from './switchhead.ts';
