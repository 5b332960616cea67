import { tests } from '@fwp/vitest-config';

export default tests({ root: import.meta.dirname, name: '@fwp/device-check' });
