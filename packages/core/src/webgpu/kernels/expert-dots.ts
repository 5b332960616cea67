/**
 * Gradients of gates, which are dot products of two rows of each assignment, and of the hidden units of a feed-forward layer, whose
 * own gradient takes the place of the left rows:
 *
 *   dgate_a = left[a] · right[⌊a / share⌋]        left[a] ← gate_a left[a] ∘ (right[a] > 0)
 *
 *   left [assignments, size]   right [assignments / share, size]   gate, dgate [assignments]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 32;

/** Workgroup: one assignment. With `gates`, the left rows become gradients of hidden units. */
export const expertDots: WgslKernel = {
  name: 'expert_dots',
  storage: () => ({ left: 'write f32', right: 'read f32', gates: 'read f32', d_gates: 'write f32' }),
  parameters: { assignments: 'u32', share: 'u32', size: 'u32' },
  code: (_, has) => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  let assignment = group_index(group, groups);
  if (assignment >= parameters.assignments) { return; }
  let own = assignment * parameters.size;
  let other = (assignment / parameters.share) * parameters.size;
  var sum = 0.0;
  for (var i = lane; i < parameters.size; i += ${LANES}u) {
    let l = left[own + i];
    let r = right[other + i];
    sum = fma(l, r, sum);
    ${has('gates') ? 'left[own + i] = select(0.0, gates[assignment] * l, r > 0.0);' : ''}
  }
  let total = total_of(sum, lane);
  if (lane == 0u) { d_gates[assignment] = total; }
}`,
};
