/** Build of @fwp/srwm. */
import { library } from '@fwp/tsup-config';

export default library();
