/**
 * The last step of the sort of `sort-counts.ts`: each row goes behind the earlier ones of its digit.
 *
 *   order[offsets[d] + counts[block, d] + |{q in block : q < p, d_q = d}|] = before[p],   d = d_p = digit(ids[before[p]])
 *
 *   order [rows]
 */

import type { WgslKernel } from '../program.ts';
import { DIGIT_AT, SORT_BLOCK, SORT_PARAMETERS } from './sort-counts.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: one block. */
export const sortOrder: WgslKernel = {
  name: 'sort_order',
  storage: () => ({
    ...{ ids: 'read i32', before: 'read i32', counts: 'read i32', offsets: 'read i32' },
    order: 'write i32',
  }),
  parameters: SORT_PARAMETERS,
  code: (_, has) => `
var<workgroup> block_digits: array<u32, ${SORT_BLOCK}>;
${DIGIT_AT(has)}

${entryPoint(SORT_BLOCK)}
  let block = group_index(group, groups);
  let at = block * ${SORT_BLOCK}u + lane;
  var digit = 0u;
  if (at < parameters.rows) { digit = digit_at(at); }
  block_digits[lane] = digit;
  workgroupBarrier();
  if (at >= parameters.rows) { return; }
  var place = offsets[digit] + counts[block * parameters.digits + digit];
  for (var i = 0u; i < lane; i++) { place += select(0, 1, block_digits[i] == digit); }
  order[place] = i32(row_at(at));
}`,
};
