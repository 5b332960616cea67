/**
 * The experiments of "Practical Computational Power of Linear Transformers and Their Recurrent and Self-Referential Extensions";
 * `fwp list` shows them.
 *
 * @packageDocumentation
 */

export { allLanguages } from './all-languages.ts';
export { parity } from './parity.ts';
