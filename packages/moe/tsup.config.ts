/** Build of @fwp/moe. */
import { library } from '@fwp/tsup-config';

export default library();
