/**
 * The third step of the sort of `sort-counts.ts`: where each digit begins.
 *
 *   offsets[d] = Σ_{c < d} counts[blocks, c]        offsets [digits]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

const LANES = 64;

/** One workgroup. */
export const sortOffsets: WgslKernel = {
  name: 'sort_offsets',
  storage: () => ({ counts: 'read i32', offsets: 'write i32' }),
  parameters: { blocks: 'u32', digits: 'u32' },
  code: () => `
var<workgroup> sums: array<i32, ${LANES}>;

${entryPoint(LANES)}
  let all = parameters.digits;
  let share = (all + ${LANES - 1}u) / ${LANES}u;
  let begin = min(all, lane * share);
  let end = min(all, begin + share);
  let totals = parameters.blocks * all;
  var sum = 0;
  for (var d = begin; d < end; d++) { sum += counts[totals + d]; }
  sums[lane] = sum;
  workgroupBarrier();
  var offset = 0;
  for (var i = 0u; i < lane; i++) { offset += sums[i]; }
  for (var d = begin; d < end; d++) {
    offsets[d] = offset;
    offset += counts[totals + d];
  }
}`,
};
