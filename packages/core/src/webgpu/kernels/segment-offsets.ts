/**
 * Where each segment begins among rows that are sorted by segment: a binary search for each.
 *
 *   offsets[s] = |{p : ids[order[p]] < s}|        ids [rows]   order [rows]   offsets [segments + 1]
 *
 * Ids that are no segment come last.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Segments of a workgroup. */
export const OFFSET_LANES = 64;

/** Workgroup: {@link OFFSET_LANES} segments. */
export const segmentOffsets: WgslKernel = {
  name: 'segment_offsets',
  storage: () => ({ ids: 'read i32', order: 'read i32', offsets: 'write i32' }),
  parameters: { rows: 'u32', segments: 'u32' },
  code: () => `
${entryPoint(OFFSET_LANES)}
  let segment = group_index(group, groups) * ${OFFSET_LANES}u + lane;
  if (segment > parameters.segments) { return; }
  var begin = 0u;
  var end = parameters.rows;
  while (begin < end) {
    let middle = (begin + end) / 2u;
    if (bitcast<u32>(ids[order[middle]]) < segment) { begin = middle + 1u; } else { end = middle; }
  }
  offsets[segment] = i32(begin);
}`,
};
