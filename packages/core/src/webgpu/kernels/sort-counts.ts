/**
 * A stable sort of rows by a small number each, in four steps (counting sort: Knuth, The Art of Computer Programming 3, section 5.2,
 * algorithm D), the first: how often each number occurs in each block of rows.
 *
 *   counts[block, s] = |{n in block : ids[n] = s}|        ids [rows]   counts [blocks + 1, segments + 1]
 *
 * Ids that are no segment count for the last one, which is nobody's. Counts instead of atomic additions: the order is the same each time.
 */

import type { WgslKernel } from '../program.ts';

/** Rows of a block. */
export const SORT_BLOCK = 256;
const LANES = 64;

/** `fn segment_of(id) -> u32`: the segment, or the one behind the last. */
export const SEGMENT_OF = `
fn segment_of(id: i32) -> u32 {
  return min(bitcast<u32>(id), parameters.segments);
}`;

/** Workgroup: one block. */
export const sortCounts: WgslKernel = {
  name: 'sort_counts',
  storage: () => ({ ids: 'read i32', counts: 'write i32' }),
  parameters: { rows: 'u32', segments: 'u32' },
  code: () => `
var<workgroup> block_ids: array<u32, ${SORT_BLOCK}>;
${SEGMENT_OF}

@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group_index(group, groups);
  let first = block * ${SORT_BLOCK}u;
  if (first >= parameters.rows) { return; }
  let count = min(${SORT_BLOCK}u, parameters.rows - first);
  for (var i = lane; i < count; i += ${LANES}u) { block_ids[i] = segment_of(ids[first + i]); }
  workgroupBarrier();
  for (var segment = lane; segment <= parameters.segments; segment += ${LANES}u) {
    var found = 0;
    for (var i = 0u; i < count; i++) { found += select(0, 1, block_ids[i] == segment); }
    counts[block * (parameters.segments + 1u) + segment] = found;
  }
}`,
};
