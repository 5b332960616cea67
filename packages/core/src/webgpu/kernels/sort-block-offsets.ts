/**
 * The second step of the sort of `sort-counts.ts`: how many of a segment are in the blocks before, in the place of the counts, and all
 * of them in the row behind the last.
 *
 *   counts[b, s] ← Σ_{c < b} counts[c, s]        counts [blocks + 1, segments + 1]
 */

import type { WgslKernel } from '../program.ts';

const LANES = 64;

/** Workgroup: {@link LANES} segments. */
export const sortBlockOffsets: WgslKernel = {
  name: 'sort_block_offsets',
  storage: () => ({ counts: 'write i32' }),
  parameters: { blocks: 'u32', segments: 'u32' },
  code: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let segment = group_index(group, groups) * ${LANES}u + lane;
  if (segment > parameters.segments) { return; }
  var before = 0;
  for (var block = 0u; block < parameters.blocks; block++) {
    let at = block * (parameters.segments + 1u) + segment;
    let own = counts[at];
    counts[at] = before;
    before += own;
  }
  counts[parameters.blocks * (parameters.segments + 1u) + segment] = before;
}`,
};
