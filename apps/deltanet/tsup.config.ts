/** Build of the experiments, which the fwp command loads. */
import { library } from '@fwp/tsup-config';

export default library({ entry: ['src/index.ts', 'src/picture.ts'], platform: 'node', dts: false });
