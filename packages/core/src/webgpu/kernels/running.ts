/**
 * Running sums or products along an axis, x and y [rows, length, inner]:
 *
 *   y_t = x_0 ∘ … ∘ x_t        exclusive: y_t = x_0 ∘ … ∘ x_{t-1}, and y_0 the neutral number        reversed: from the end on
 *
 * An invocation goes along the axis, in one pass over memory and in the order of the numbers.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Rows and inner places of a workgroup. */
export const RUNNING_LANES = 64;

/** Workgroup: {@link RUNNING_LANES} places. */
export const running: WgslKernel = {
  name: 'running',
  storage: ({ integers }) => (integers ? { x: 'read i32', y: 'write i32' } : { x: 'read f32', y: 'write f32' }),
  parameters: { rows: 'u32', length: 'u32', inner: 'u32' },
  code: ({ product, exclusive, reverse, integers }) => `
${entryPoint(RUNNING_LANES)}
  let place = group_index(group, groups) * ${RUNNING_LANES}u + lane;
  if (place >= parameters.rows * parameters.inner) { return; }
  let first = place / parameters.inner * parameters.length * parameters.inner + place % parameters.inner;
  var all = ${integers ? 'i32' : 'f32'}(${product ? 1 : 0});
  for (var t = 0u; t < parameters.length; t++) {
    let at = first + ${reverse ? '(parameters.length - 1u - t)' : 't'} * parameters.inner;
    let next = all ${product ? '*' : '+'} x[at];
    y[at] = ${exclusive ? 'all' : 'next'};
    all = next;
  }
}`,
};
