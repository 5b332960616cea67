/**
 * The experiments of "Blending Complementary Memory Systems in Hybrid Quadratic-Linear Transformers"; `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { synthetic } from './synthetic.ts';
