/**
 * Fast-weight scans chunk by chunk, forward in time: what `scan-states.ts` does step by step, with the same tensors. With K, Q and Γ of
 * `scan-chunks.ts`,
 *
 *   delta   e_t = v_t − Γ(t) S k_t − Σ_{r < t} K_tr w_r      w_t = β_t e_t      (forward substitution, never an inverse)
 *   sum     w_t = v_t                       replay  w_t = β_t e_t, e given
 *   y_t = Γ(t) S q_t + Σ_r Q_tr w_r         S ← Γ(C) S + Σ_r Γ(C, r) w_r k_rᵀ
 *
 *   q, k [heads, time, keyDim]   v, e, y [heads, time, valueDim]   S [heads, valueDim, keyDim]   gates [heads, time, 4]
 *
 * `boundaries` gets S before every chunk, [heads, chunks, valueDim, keyDim], of the `heads` that run, from `first_head` on.
 */

import type { WgslKernel } from '../program.ts';
import { SCAN_CHUNK } from './scan-chunk-gradients.ts';
import {
  CHUNK_LANES,
  CHUNK_ROW,
  CHUNK_ROWS,
  type ChunkConstants,
  chunkDeclarations,
  chunkInputs,
  eachStep,
  eachVector,
  stateProduct,
} from './scan-chunks.ts';
import { scanStates } from './scan-states.ts';
import { entryPoint, vectorAccess, vectorsOf } from './wgsl.ts';

/** Workgroup: {@link CHUNK_ROWS} rows of one head. */
export const scanChunkStates: WgslKernel = {
  name: 'scan_chunk_states',
  storage: scanStates.storage,
  parameters: scanStates.parameters,
  code: (constants, has) => {
    const given = constants as ChunkConstants;
    const { rule, keyDim, before } = given;
    const n = vectorsOf(keyDim);
    const solve = `
    if (lane < ${CHUNK_ROWS}u && is_row) {
      for (var t = 0u; t < count; t++) {
        let cell = (start + t) * parameters.value_dim + row;
        var error = v[cell] - scaled(whole[t], rows[t * ${CHUNK_ROWS}u + lane]);
        for (var r = starts[t]; r < t; r++) {
          error = fma(-of_keys[t * ${SCAN_CHUNK}u + r], rows[r * ${CHUNK_ROWS}u + lane], error);
        }
        ${has('errors') ? 'errors[cell] = error;' : ''}
        rows[t * ${CHUNK_ROWS}u + lane] = step_gates[t].x * error;
      }
    }
    workgroupBarrier();`;
    // What a step writes; with the delta rule, of which that is made, what S recalls for its key.
    const found =
      rule === 'delta'
        ? stateProduct('recalled', 'keys', keyDim)
        : `var recalled = 0.0;
      if (is_row && t < count) { recalled = ${rule === 'replay' ? 'step_gates[t].x * ' : ''}v[cell]; }`;
    return `
${chunkDeclarations(keyDim, has)}
${has('initial_state') ? vectorAccess('initial_state', keyDim) : ''}
${has('final_state') ? vectorAccess('final_state', keyDim, true) : ''}
${has('boundaries') ? vectorAccess('boundaries', keyDim, true) : ''}

${entryPoint(CHUNK_LANES)}
${CHUNK_ROW}
  ${has('initial_state') ? `if (is_row) {\n    ${eachVector(keyDim, '      state[at] = initial_state_vector(state_row, j);')}\n  }` : ''}
  for (var chunk = 0u; chunk < chunks; chunk++) {
    let first = chunk * ${SCAN_CHUNK}u;
    let count = min(${SCAN_CHUNK}u, parameters.time - first);
    let start = head * parameters.time + first;
${chunkInputs(given, has)}
    ${
      has('boundaries')
        ? `if (is_row) {
    ${eachVector(keyDim, '      set_boundaries_vector((local_head * chunks + chunk) * parameters.value_dim + row, j, state[at]);')}
    }`
        : ''
    }
    // Of the steps that this invocation has: S q, and what is written, or S k.
    var reads: array<f32, ${(SCAN_CHUNK * CHUNK_ROWS) / CHUNK_LANES}>;
    ${eachStep(`
      ${has('output') ? `${stateProduct('read', 'queries', keyDim)}\n      reads[t / ${CHUNK_LANES / CHUNK_ROWS}u] = read;` : ''}
      ${found}
      rows[t * ${CHUNK_ROWS}u + own_row] = select(0.0, recalled, t < count);`)}
    workgroupBarrier();
    ${rule === 'delta' ? solve : ''}
    ${
      has('output')
        ? eachStep(`
      var y = scaled(${before ? 'whole_before' : 'whole'}[t], reads[t / ${CHUNK_LANES / CHUNK_ROWS}u]);
      for (var r = starts[t]; r ${before ? '<' : '<='} t; r++) {
        y = fma(of_queries[t * ${SCAN_CHUNK}u + r], rows[r * ${CHUNK_ROWS}u + own_row], y);
      }
      if (is_row && t < count) { output[cell] = y; }`)
        : ''
    }
    let kept = whole[${SCAN_CHUNK - 1}];
    ${eachVector(
      keyDim,
      `      var next = select(kept * state[at], vec4f(), kept == 0.0);
      for (var r = starts[${SCAN_CHUNK - 1}]; r < ${SCAN_CHUNK}u; r++) {
        next = fma(vec4f(left[r] * rows[r * ${CHUNK_ROWS}u + own_row]), keys[r * ${n}u + j], next);
      }
      state[at] = next;`,
    )}
  }
  ${has('final_state') ? `if (is_row) {\n    ${eachVector(keyDim, '      set_final_state_vector(state_row, j, state[at]);')}\n  }` : ''}
}`;
  },
};
