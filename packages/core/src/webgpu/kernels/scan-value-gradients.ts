/**
 * What the gradient of the delta rule's writes means for values and write strengths, with e the prediction errors:
 *
 *   dv_t = β_t written_t        dβ_t = written_t · e_t
 *
 *   written, e, dv [heads, time, valueDim]   β = gates[head, t, 0]   dβ [heads, time]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 32;

/** Workgroup: one step of one head. */
export const scanValueGradients: WgslKernel = {
  name: 'scan_value_gradients',
  storage: () => ({ gates: 'read f32', errors: 'read f32', written: 'read f32', dv: 'write f32', d_beta: 'write f32' }),
  parameters: { first_step: 'u32', steps: 'u32', value_dim: 'u32' },
  code: () => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  let index = group_index(group, groups);
  if (index >= parameters.steps) { return; }
  let step = parameters.first_step + index;
  let beta = gates[4u * step];
  var sum = 0.0;
  for (var i = lane; i < parameters.value_dim; i += ${LANES}u) {
    let cell = step * parameters.value_dim + i;
    dv[cell] = beta * written[cell];
    sum = fma(written[cell], errors[cell], sum);
  }
  let total = total_of(sum, lane);
  if (lane == 0u) { d_beta[step] = total; }
}`,
};
