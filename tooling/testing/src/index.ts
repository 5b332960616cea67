/** Helpers shared by the tests of all packages. */
export { type AllCloseOptions, assertAllClose } from './allclose.ts';
export { availableDevices, type TestDevice, wasm } from './devices.ts';
export { readPage, runSnippet } from './readme.ts';
export { expectLearns, expectPiecesEqualWhole, inPieces, piece, stateValues } from './sequence-mixers.ts';
