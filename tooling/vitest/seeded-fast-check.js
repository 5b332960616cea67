/**
 * fast-check with the seed of FWP_TEST_SEED, so that a run of the tests tries the same cases as the one before; without that
 * variable every run tries others, and a failure prints the seed that repeats it.
 *
 * The module takes the place of fast-check in tests (`seedFastCheck`, a plugin of the configuration).
 */
import fc from 'fast-check';

const seed = process.env['FWP_TEST_SEED'] ?? '';
if (seed !== '') {
  if (!/^-?\d+$/.test(seed)) throw new RangeError(`FWP_TEST_SEED is a whole number, but was '${seed}'.`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
}

export * from 'fast-check';
export default fc;
