/** Integers, or false and true, as numbers: y_i = x_i. */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const TO_FLOAT_GRAIN = 64;

/** Workgroup: {@link TO_FLOAT_GRAIN} elements. */
export const toFloat: WgslKernel = {
  name: 'to_float',
  storage: () => ({ x: 'read i32', y: 'write f32' }),
  parameters: { size: 'u32' },
  code: () => `
${entryPoint(TO_FLOAT_GRAIN)}
  let i = group_index(group, groups) * ${TO_FLOAT_GRAIN}u + lane;
  if (i < parameters.size) { y[i] = f32(x[i]); }
}`,
};
