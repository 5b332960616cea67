/** Build of @fwp/hybrid. */
import { library } from '@fwp/tsup-config';

export default library();
