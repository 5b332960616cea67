/** Build of the experiments, which the fwp command loads. */
import { library } from '@fwp/tsup-config';

export default library({ platform: 'node', dts: false });
