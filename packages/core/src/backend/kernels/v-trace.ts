/** The kernel of `ops/v-trace.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';

/** `FwpVTrace` gives [targets, advantages]. */
export const vTraceKernels: KernelTable = { FwpVTrace: vTrace };

/** Attributes of `FwpVTrace`. */
export interface VTraceAttributes {
  readonly rhoClip: number;
  readonly cClip: number;
}

function vTrace({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { logRhos, discounts, rewards, values, bootstrapValue } = inputs as Record<string, TensorInfo>;
  const { rhoClip, cClip } = attrs as unknown as VTraceAttributes;
  const shape = (values as TensorInfo).shape;
  return floatOutputs(backend, [shape, shape], (outputs) => {
    const given = [logRhos, discounts, rewards, values, bootstrapValue].map((x) => backend.offsetOf(x as TensorInfo));
    backend.engine.run('v_trace', ...shape, ...given, rhoClip, cClip, ...outputs);
  });
}
