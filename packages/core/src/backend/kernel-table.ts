/** The form in which every file of `kernels/` offers its tfjs kernels. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from './backend.ts';

/** What a tfjs kernel is called with. `inputs` and `attrs` hold what tfjs documents for that kernel. */
export interface KernelCall {
  // biome-ignore lint/suspicious/noExplicitAny: tfjs's inputs differ from kernel to kernel; each kernel names its own type
  readonly inputs: any;
  // biome-ignore lint/suspicious/noExplicitAny: the same for attributes
  readonly attrs: any;
  readonly backend: FwpBackend;
}

/** One kernel: takes tensors and attributes, returns new tensors. */
export type Kernel = (call: KernelCall) => TensorInfo | TensorInfo[];

/** tfjs kernel names and their implementations. */
export type KernelTable = Readonly<Record<string, Kernel>>;
