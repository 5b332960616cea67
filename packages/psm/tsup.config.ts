/** Build of @fwp/psm. */
import { library } from '@fwp/tsup-config';

export default library();
