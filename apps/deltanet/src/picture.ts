/** What `scripts/picture.mjs` needs. */

export { fastWeightsPicture } from './fast-weights-picture.ts';
export { recordFastWeights } from './fast-weights-run.ts';
