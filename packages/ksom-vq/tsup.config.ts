/** Build of @fwp/ksom-vq. */
import { library } from '@fwp/tsup-config';

export default library();
