/**
 * The second step of the sort of `sort-counts.ts`: how often a digit occurs in the blocks before, in the place of the counts, and in
 * all blocks in the row behind the last.
 *
 *   counts[b, d] ← Σ_{c < b} counts[c, d]        counts [blocks + 1, digits]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

const LANES = 64;

/** Workgroup: {@link LANES} digits. */
export const sortBlockOffsets: WgslKernel = {
  name: 'sort_block_offsets',
  storage: () => ({ counts: 'write i32' }),
  parameters: { blocks: 'u32', digits: 'u32' },
  code: () => `
${entryPoint(LANES)}
  let digit = group_index(group, groups) * ${LANES}u + lane;
  if (digit >= parameters.digits) { return; }
  var before = 0;
  for (var block = 0u; block < parameters.blocks; block++) {
    let at = block * parameters.digits + digit;
    let own = counts[at];
    counts[at] = before;
    before += own;
  }
  counts[parameters.blocks * parameters.digits + digit] = before;
}`,
};
