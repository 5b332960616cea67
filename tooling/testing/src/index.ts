/** Helpers shared by the tests of all packages. */
export { type AllCloseOptions, assertAllClose } from './allclose.ts';
