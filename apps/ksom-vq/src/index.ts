/**
 * The benchmarks of "Self-Organising Neural Discrete Representation Learning à la Kohonen" as experiments; `fwp list` shows
 * them.
 *
 * @packageDocumentation
 */

export { vectors } from './vectors.ts';
export { vqvae } from './vqvae.ts';
export { vqvae2 } from './vqvae2.ts';
