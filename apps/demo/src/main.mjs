/** The demonstration that `npm start` runs: says which device was chosen. */
import { device, init } from '@fwp/core';

await init();
console.log(device());
