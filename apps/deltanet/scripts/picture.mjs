/**
 * `pnpm --filter @fwp/app-deltanet picture`: makes docs/images/fast-weights.svg, the picture of the README, from a real
 * run (a minute on two cores). The same seed gives the same picture.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { device, dispose, init } from '@fwp/core';
import { fastWeightsPicture, recordFastWeights } from '../dist/picture.js';

await init();
console.log(`on ${device().name}`);
const file = fileURLToPath(new URL('../../../docs/images/fast-weights.svg', import.meta.url));
writeFileSync(file, fastWeightsPicture(await recordFastWeights(1, console.log)));
console.log(file);
await dispose();
