/**
 * States whose elements do not see each other (Yau et al. 2025, equation 2):
 *
 *   s_t = e_t ∘ s_{t-1} + f_t                         forward
 *   g_t = d_t + e_{t+1} ∘ g_{t+1}    edge = e_0 ∘ g_0     backward, with d_t the gradient of s_t and g_t that of f_t
 *
 *   s, f, g, d [batch, steps, rows, columns]   e [batch, steps, …]: one for each element, for each column, or for all
 *
 * `edge` is s before the first step, or the gradient of the last s; `final` s behind the last step, or the gradient of what was before the
 * first. An invocation has one element through all steps, in a register; neighbours read neighbours.
 */

import type { Constants, WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const AFFINE_LANES = 64;

/** Constants of the kernel. */
export interface AffineScanConstants extends Constants {
  readonly kind: 'elementwise' | 'scalar' | 'diagonal';
  readonly backward: boolean;
}

/** Workgroup: {@link AFFINE_LANES} elements of states. */
export const affineScan: WgslKernel = {
  name: 'affine_scan',
  storage: () => ({
    transition: 'read f32',
    input: 'read f32',
    edge: 'read f32',
    resets: 'read i32',
    states: 'write f32',
    final_state: 'write f32',
  }),
  parameters: { batch: 'u32', steps: 'u32', rows: 'u32', columns: 'u32' },
  code: (constants, has) => {
    const { kind, backward } = constants as AffineScanConstants;
    const factorAt = {
      elementwise: 'place',
      scalar: 'at',
      diagonal: 'at * parameters.columns + index % parameters.columns',
    };
    const reset = has('resets') ? 'resets[at] != 0' : 'false';
    return `
${entryPoint(AFFINE_LANES)}
  let index = group_index(group, groups) * ${AFFINE_LANES}u + lane;
  let size = parameters.rows * parameters.columns;
  if (index >= parameters.batch * size) { return; }
  let sequence = index / size;
  var state = ${has('edge') ? 'edge[index]' : '0.0'};
  for (var i = 0u; i < parameters.steps; i++) {
    let at = sequence * parameters.steps + ${backward ? 'parameters.steps - 1u - i' : 'i'};
    let place = at * size + index % size;
    ${backward ? 'state += input[place];\n    states[place] = state;' : ''}
    state = select(transition[${factorAt[kind]}] * state, 0.0, ${reset});
    ${backward ? '' : 'state += input[place];\n    states[place] = state;'}
  }
  final_state[index] = state;
}`;
  },
};
