/** Build of @fwp/rfwp. */
import { library } from '@fwp/tsup-config';

export default library();
