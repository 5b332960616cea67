/**
 * The gradients of geometric attention's keys and values, position by position, with dz and A of `geometric-query-gradients.ts`:
 *
 *   dk_j = c₀ Σ_i dz_ij q_i        dv_j = Σ_i A_ij dy_i
 */

import type { WgslKernel } from '../program.ts';
import { GEOMETRIC_PARAMETERS, geometricRows, OWN_POSITION, WALK_LANES } from './geometric-walk.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: one position of one head. */
export const geometricKeyGradients: WgslKernel = {
  name: 'geometric_key_gradients',
  storage: () => ({
    ...{ x: 'read f32', coefficients: 'read f32', dy: 'read f32', work: 'read f32' },
    ...{ dx: 'write f32' },
  }),
  parameters: GEOMETRIC_PARAMETERS,
  code: () => `
${geometricRows(false)}

${entryPoint(WALK_LANES)}
${OWN_POSITION}
  let all = parameters.batch * parameters.heads * parameters.time * parameters.time;
  for (var d = lane; d < parameters.dim; d += ${WALK_LANES}u) {
    var key_sum = 0.0;
    var value_sum = 0.0;
    for (var i = 0u; i < parameters.time; i++) {
      let at = (pair * parameters.time + i) * parameters.time + position;
      let dz = work[at];
      let weight = work[all + at];
      // Padding may hold NaN.
      if (dz != 0.0) { key_sum = fma(dz, x[x_at(batch, i, 0u, head) + d], key_sum); }
      if (weight != 0.0) { value_sum = fma(weight, dy[output_at(batch, i, head) + d], value_sum); }
    }
    dx[x_at(batch, position, 1u, head) + d] = coefficients[0] * key_sum;
    dx[x_at(batch, position, 2u, head) + d] = value_sum;
  }
}`,
};
