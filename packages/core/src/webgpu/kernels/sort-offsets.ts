/**
 * The third step of the sort of `sort-counts.ts`: where each segment begins.
 *
 *   offsets[s] = Σ_{r < s} counts[blocks, r]        offsets [segments + 1]
 */

import type { WgslKernel } from '../program.ts';

const LANES = 64;

/** One workgroup. */
export const sortOffsets: WgslKernel = {
  name: 'sort_offsets',
  storage: () => ({ counts: 'read i32', offsets: 'write i32' }),
  parameters: { blocks: 'u32', segments: 'u32' },
  code: () => `
var<workgroup> sums: array<i32, ${LANES}>;

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  let all = parameters.segments + 1u;
  let share = (all + ${LANES - 1}u) / ${LANES}u;
  let begin = min(all, lane * share);
  let end = min(all, begin + share);
  let totals = parameters.blocks * all;
  var sum = 0;
  for (var s = begin; s < end; s++) { sum += counts[totals + s]; }
  sums[lane] = sum;
  workgroupBarrier();
  var offset = 0;
  for (var i = 0u; i < lane; i++) { offset += sums[i]; }
  for (var s = begin; s < end; s++) {
    offsets[s] = offset;
    offset += counts[totals + s];
  }
}`,
};
