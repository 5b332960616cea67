/** Tests of the experiments; see tooling/vitest for what the preset sets. */
import { tests } from '@fwp/vitest-config';

export default tests({ root: import.meta.dirname, name: '@fwp/app-moe-lm' });
