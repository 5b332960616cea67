/**
 * Sums of the rows of each segment, and how many there are, of rows that are sorted by segment (`sort-counts.ts`):
 *
 *   sums[s, :] = Σ_{offsets[s] ≤ p < offsets[s + 1]} values[order[p], :]        counts[s] = offsets[s + 1] − offsets[s]
 *
 *   values [rows, size]   sums [segments, size]   counts [segments]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Sums of a workgroup. */
export const SEGMENT_LANES = 64;

/** Workgroup: {@link SEGMENT_LANES} of the sums, of one segment or of several. */
export const segmentSums: WgslKernel = {
  name: 'segment_sums',
  storage: () => ({
    ...{ values: 'read f32', order: 'read i32', offsets: 'read i32' },
    ...{ sums: 'write f32', counts: 'write f32' },
  }),
  parameters: { segments: 'u32', size: 'u32' },
  code: (_, has) => `
${entryPoint(SEGMENT_LANES)}
  let columns = max(1u, parameters.size);
  let element = group_index(group, groups) * ${SEGMENT_LANES}u + lane;
  let segment = element / columns;
  let column = element % columns;
  if (segment >= parameters.segments) { return; }
  let begin = offsets[segment];
  let end = offsets[segment + 1u];
  ${has('counts') ? 'if (column == 0u) { counts[segment] = f32(end - begin); }' : ''}
  if (column >= parameters.size) { return; }
  var sum = 0.0;
  for (var place = begin; place < end; place++) {
    sum += values[u32(order[place]) * parameters.size + column];
  }
  sums[element] = sum;
}`,
};
