/**
 * Sums of the rows of each segment, and how many there are, of rows that are sorted by segment (`sort-counts.ts`):
 *
 *   sums[s, :] = Σ_{offsets[s] ≤ p < offsets[s + 1]} values[order[p], :]        counts[s] = offsets[s + 1] − offsets[s]
 *
 *   values [rows, size]   sums [segments, size]   counts [segments]
 */

import type { WgslKernel } from '../program.ts';

/** Columns of a workgroup. */
export const SEGMENT_COLUMNS = 64;

/** Workgroup: {@link SEGMENT_COLUMNS} columns of one segment. */
export const segmentSums: WgslKernel = {
  name: 'segment_sums',
  storage: () => ({
    ...{ values: 'read f32', order: 'read i32', offsets: 'read i32' },
    ...{ sums: 'write f32', counts: 'write f32' },
  }),
  parameters: { segments: 'u32', size: 'u32' },
  code: (_, has) => `
@compute @workgroup_size(${SEGMENT_COLUMNS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tiles = max(1u, (parameters.size + ${SEGMENT_COLUMNS - 1}u) / ${SEGMENT_COLUMNS}u);
  let segment = group_index(group, groups) / tiles;
  let column = (group_index(group, groups) % tiles) * ${SEGMENT_COLUMNS}u + lane;
  if (segment >= parameters.segments) { return; }
  let begin = offsets[segment];
  let end = offsets[segment + 1u];
  ${has('counts') ? 'if (column == 0u) { counts[segment] = f32(end - begin); }' : ''}
  if (column >= parameters.size) { return; }
  var sum = 0.0;
  for (var place = begin; place < end; place++) {
    sum += values[u32(order[place]) * parameters.size + column];
  }
  sums[segment * parameters.size + column] = sum;
}`,
};
