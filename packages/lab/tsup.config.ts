/** Build of @fwp/lab. */
import { library } from '@fwp/tsup-config';

export default library();
