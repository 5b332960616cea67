/**
 * A stable sort of rows by a digit of the number of their segment, in four steps (counting sort: Knuth, The Art of Computer
 * Programming 3, section 5.2, algorithm D), the first: how often each digit occurs in each block of places.
 *
 *   counts[block, d] = |{p in block : digit(ids[before[p]]) = d}|        digit(s) = ⌊s / 2^shift⌋ mod digits
 *
 *   ids [rows]   before [rows], the order until now   counts [blocks + 1, digits]
 *
 * Ids that are no segment count for the one behind the last. Counts instead of atomic additions: the order is the same each time.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Places of a block. */
export const SORT_BLOCK = 256;
const LANES = 64;

/** What the first and the last step are told. */
export const SORT_PARAMETERS = { rows: 'u32', segments: 'u32', shift: 'u32', digits: 'u32' } as const;

/**
 * `fn row_at(place) -> u32` and `fn digit_at(place) -> u32`.
 *
 * @param has whether `before` was given; without, the rows are in their own order
 */
export const DIGIT_AT = (has: (tensor: string) => boolean): string => `
fn row_at(place: u32) -> u32 {
  return ${has('before') ? 'u32(before[place])' : 'place'};
}

fn digit_at(place: u32) -> u32 {
  let segment = min(bitcast<u32>(ids[row_at(place)]), parameters.segments);
  return (segment >> parameters.shift) % parameters.digits;
}`;

/** Workgroup: one block. */
export const sortCounts: WgslKernel = {
  name: 'sort_counts',
  storage: () => ({ ids: 'read i32', before: 'read i32', counts: 'write i32' }),
  parameters: SORT_PARAMETERS,
  code: (_, has) => `
var<workgroup> block_digits: array<u32, ${SORT_BLOCK}>;
${DIGIT_AT(has)}

${entryPoint(LANES)}
  let block = group_index(group, groups);
  let first = block * ${SORT_BLOCK}u;
  if (first >= parameters.rows) { return; }
  let count = min(${SORT_BLOCK}u, parameters.rows - first);
  for (var i = lane; i < count; i += ${LANES}u) { block_digits[i] = digit_at(first + i); }
  workgroupBarrier();
  for (var digit = lane; digit < parameters.digits; digit += ${LANES}u) {
    var found = 0;
    for (var i = 0u; i < count; i++) { found += select(0, 1, block_digits[i] == digit); }
    counts[block * parameters.digits + digit] = found;
  }
}`,
};
