/**
 * States that a matrix carries on, as those of `affine-scan.ts`:
 *
 *   s_t = s_{t-1} E_t + f_t                              forward
 *   g_t = d_t + g_{t+1} E_{t+1}ᵀ    edge = g_0 E_0ᵀ        backward, with d_t the gradient of s_t and g_t that of f_t
 *
 *   s, f, g, d [batch, steps, rows, columns]   E [batch, steps, columns, columns]
 *
 * Rows do not see each other. A workgroup has four of them, as vectors, through all steps.
 */

import type { Constants, WgslKernel } from '../program.ts';
import { affineScan } from './affine-scan.ts';
import { entryPoint } from './wgsl.ts';

const LANES = 64;
/** Rows of a workgroup. */
export const AFFINE_MATRIX_ROWS = 4;

/** Constants of the kernel. */
export interface AffineMatrixConstants extends Constants {
  readonly columns: number;
  readonly backward: boolean;
}

/** Workgroup: {@link AFFINE_MATRIX_ROWS} rows of a sequence's states. */
export const affineScanMatrix: WgslKernel = {
  name: 'affine_scan_matrix',
  storage: affineScan.storage,
  parameters: { batch: 'u32', steps: 'u32', rows: 'u32' },
  code: (constants, has) => {
    const { columns, backward } = constants as AffineMatrixConstants;
    const reset = has('resets') ? 'resets[at] != 0' : 'false';
    // Column i of what a step gives; a reset forgets whatever there was.
    const carry = `
      var next = vec4f();
      if (!(${reset})) {
        for (var j = 0u; j < ${columns}u; j++) {
          next = fma(vec4f(transition[(at * ${columns}u + ${backward ? 'i' : 'j'}) * ${columns}u + ${backward ? 'j' : 'i'}]), state[j], next);
        }
      }`;
    const each = (lines: string) => `for (var i = lane; i < ${columns}u; i += ${LANES}u) {${lines}
    }`;
    // A state is read by all while the next one is made: the one becomes the other behind a barrier.
    return `
var<workgroup> state: array<vec4f, ${columns}>;
var<workgroup> made: array<vec4f, ${columns}>;

${entryPoint(LANES)}
  let tiles = (parameters.rows + ${AFFINE_MATRIX_ROWS - 1}u) / ${AFFINE_MATRIX_ROWS}u;
  let sequence = group_index(group, groups) / tiles;
  if (sequence >= parameters.batch) { return; }
  let first = (group_index(group, groups) % tiles) * ${AFFINE_MATRIX_ROWS}u;
  let count = min(${AFFINE_MATRIX_ROWS}u, parameters.rows - first);
  ${
    has('edge')
      ? each(`
      var x = vec4f();
      for (var r = 0u; r < count; r++) { x[r] = edge[(sequence * parameters.rows + first + r) * ${columns}u + i]; }
      state[i] = x;`)
      : ''
  }
  workgroupBarrier();
  for (var step = 0u; step < parameters.steps; step++) {
    let at = sequence * parameters.steps + ${backward ? 'parameters.steps - 1u - step' : 'step'};
    let start = (at * parameters.rows + first) * ${columns}u;
    ${each(`${backward ? '\n      var next = state[i];' : carry}
      for (var r = 0u; r < count; r++) {
        next[r] += input[start + r * ${columns}u + i];
        states[start + r * ${columns}u + i] = next[r];
      }
      made[i] = next;`)}
    workgroupBarrier();
    ${each('\n      state[i] = made[i];')}
    workgroupBarrier();
    ${
      backward
        ? `${each(`${carry}
      made[i] = next;`)}
    workgroupBarrier();
    ${each('\n      state[i] = made[i];')}
    workgroupBarrier();`
        : ''
    }
  }
  ${each(`
      for (var r = 0u; r < count; r++) { final_state[(sequence * parameters.rows + first + r) * ${columns}u + i] = state[i][r]; }`)}
}`;
  },
};
