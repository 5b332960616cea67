/** Build of the experiments, which the fwp command loads. */
import { library } from '@fwp/tsup-config';

export default library({ entry: ['src/index.ts'], platform: 'node', dts: false });
