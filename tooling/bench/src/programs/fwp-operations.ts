/** The operations as `@fwp/core` offers them. */

import type { Operations } from './operations.ts';
import { tfjsOperations } from './tfjs-operations.ts';

export const fwpOperations: Operations = tfjsOperations(false);
