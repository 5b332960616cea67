/** Build of @fwp/ndr. */
import { library } from '@fwp/tsup-config';

export default library();
