/** Build of @fwp/datasets. */
import { library } from '@fwp/tsup-config';

export default library();
