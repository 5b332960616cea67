/**
 * The gradient of normalised rows with respect to them, with x̂ = (x − mean) scale and g = dy · gain:
 *
 *   dx = scale (g − mean g − x̂ mean(g x̂)) + dsum
 *
 * where RMS norm has no mean g. x is the sum with the residual; dsum, the gradient of that sum itself, may be absent.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;

/** Workgroup: one row. */
export const normalizeRowsGradient: WgslKernel = {
  name: 'normalize_rows_gradient',
  storage: () => ({
    ...{ x: 'read f32', gain: 'read f32', mean: 'read f32', scale: 'read f32', dy: 'read f32', d_sum: 'read f32' },
    ...{ dx: 'write f32' },
  }),
  parameters: { rows: 'u32', features: 'u32' },
  code: (_, has) => `
${workgroupSum(LANES, 'vec2f')}

${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.features;
  let center = ${has('mean') ? 'mean[row]' : '0.0'};
  let factor = scale[row];
  var part = vec2f();
  for (var i = lane; i < parameters.features; i += ${LANES}u) {
    let g = dy[first + i] * gain[i];
    part += vec2f(g, g * (x[first + i] - center) * factor);
  }
  let means = total_of(part, lane) / f32(parameters.features);
  for (var i = lane; i < parameters.features; i += ${LANES}u) {
    let g = dy[first + i] * gain[i];
    let normalized = (x[first + i] - center) * factor;
    dx[first + i] = factor * (g${has('mean') ? ' - means.x' : ''} - normalized * means.y)${has('d_sum') ? ' + d_sum[first + i]' : ''};
  }
}`,
};
