/**
 * The experiments of "Blending Complementary Memory Systems in Hybrid Quadratic-Linear Transformers"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { lm } from './lm.ts';
export { recall } from './recall.ts';
export { synthetic } from './synthetic.ts';
export { visualMatch } from './visual-match.ts';
