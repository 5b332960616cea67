/**
 * What the gradient of attention needs of every query besides: D_i = dy_i · output_i, beside L_i.
 *
 *   dy, output [batch, heads, queries, valueDim] in any layout   rows [batch, heads, queries, 2] = (L, D)
 */

import type { WgslKernel } from '../program.ts';
import { ATTENTION_PARAMETERS, attentionRows } from './attention-rows.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: 64 queries. */
export const attentionProducts: WgslKernel = {
  name: 'attention_products',
  storage: () => ({ dy: 'read f32', o: 'read f32', log_sum: 'read f32', rows: 'write f32' }),
  parameters: ATTENTION_PARAMETERS,
  code: ({ valueDim }) => `
${attentionRows(false, false)}

${entryPoint(64)}
  let query = group_index(group, groups) * 64u + lane;
  if (query >= parameters.batch * parameters.heads * parameters.queries) { return; }
  let row = o_row(query / parameters.queries, query % parameters.queries);
  var sum = 0.0;
  for (var i = 0u; i < ${valueDim}u; i++) {
    sum = fma(dy[row * ${valueDim}u + i], o[row * ${valueDim}u + i], sum);
  }
  rows[2u * query] = log_sum[query];
  rows[2u * query + 1u] = sum;
}`,
};
