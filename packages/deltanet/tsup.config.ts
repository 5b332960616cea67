/** Build of @fwp/deltanet. */
import { library } from '@fwp/tsup-config';

export default library();
