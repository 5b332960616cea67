/** Build of the experiments, which the fwp command loads, and of the training loop that other apps use. */
import { library } from '@fwp/tsup-config';

export default library({
  entry: ['src/index.ts', 'src/classification.ts'],
  platform: 'node',
  dts: { entry: ['src/classification.ts'] },
});
