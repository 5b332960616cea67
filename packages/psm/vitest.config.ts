/** Tests of @fwp/psm; see tooling/vitest for what the preset sets. */
import { tests } from '@fwp/vitest-config';

export default tests({ root: import.meta.dirname, name: '@fwp/psm' });
