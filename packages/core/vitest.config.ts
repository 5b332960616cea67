/** Tests of @fwp/core; see tooling/vitest for what the preset sets. */
import { availableParallelism } from 'node:os';
import { tests } from '@fwp/vitest-config';

export default tests({
  root: import.meta.dirname,
  name: '@fwp/core',
  // They take as long as those of all other packages together: where these have ended, no processor should wait.
  test: { maxWorkers: Math.max(2, availableParallelism() - 1) },
});
