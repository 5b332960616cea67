/** Build of @fwp/rtrl: learning, which runs everywhere, and environments in threads, which need Node. */
import { library } from '@fwp/tsup-config';

export default library({ entry: { index: 'src/index.ts', workers: 'src/workers.ts' } });
