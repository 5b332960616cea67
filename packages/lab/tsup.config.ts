/** Build of @fwp/lab: the library, and the command that bin/fwp.mjs starts. */
import { library } from '@fwp/tsup-config';

export default library({ entry: ['src/index.ts', 'src/cli.ts'] });
