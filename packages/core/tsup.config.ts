/** Build of @fwp/core: flat files in dist/, so that `../kernels/` resolves alike from src/ and from dist/. */
import { library } from '@fwp/tsup-config';

export default library({ entry: ['src/index.ts'] });
