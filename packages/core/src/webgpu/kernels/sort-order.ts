/**
 * The last step of the sort of `sort-counts.ts`: each row goes behind the earlier ones of its segment.
 *
 *   order[offsets[s] + counts[block, s] + |{m in block : m < n, ids[m] = s}|] = n,   s = ids[n]        order [rows]
 */

import type { WgslKernel } from '../program.ts';
import { SEGMENT_OF, SORT_BLOCK } from './sort-counts.ts';

/** Workgroup: one block. */
export const sortOrder: WgslKernel = {
  name: 'sort_order',
  storage: () => ({ ids: 'read i32', counts: 'read i32', offsets: 'read i32', order: 'write i32' }),
  parameters: { rows: 'u32', segments: 'u32' },
  code: () => `
var<workgroup> block_ids: array<u32, ${SORT_BLOCK}>;
${SEGMENT_OF}

@compute @workgroup_size(${SORT_BLOCK})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group_index(group, groups);
  let row = block * ${SORT_BLOCK}u + lane;
  var segment = 0u;
  if (row < parameters.rows) { segment = segment_of(ids[row]); }
  block_ids[lane] = segment;
  workgroupBarrier();
  if (row >= parameters.rows) { return; }
  var place = offsets[segment] + counts[block * (parameters.segments + 1u) + segment];
  for (var i = 0u; i < lane; i++) { place += select(0, 1, block_ids[i] == segment); }
  order[place] = i32(row);
}`,
};
