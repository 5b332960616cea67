/**
 * Sums of what the experts of a row give, with gates:
 *
 *   y[r] = Σ_j gate_a products[a],   a = r share + j        products [rows · share, columns]   gate [rows · share]   y [rows, columns]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const EXPERT_SUM_GRAIN = 64;

/** Workgroup: {@link EXPERT_SUM_GRAIN} elements of y. */
export const expertSums: WgslKernel = {
  name: 'expert_sums',
  storage: () => ({ products: 'read f32', gates: 'read f32', y: 'write f32' }),
  parameters: { rows: 'u32', share: 'u32', columns: 'u32' },
  code: (_, has) => `
${entryPoint(EXPERT_SUM_GRAIN)}
  let element = group_index(group, groups) * ${EXPERT_SUM_GRAIN}u + lane;
  if (element >= parameters.rows * parameters.columns) { return; }
  let first = (element / parameters.columns) * parameters.share;
  let column = element % parameters.columns;
  var sum = 0.0;
  for (var a = first; a < first + parameters.share; a++) {
    sum = fma(${has('gates') ? 'gates[a]' : '1.0'}, products[a * parameters.columns + column], sum);
  }
  y[element] = sum;
}`,
};
