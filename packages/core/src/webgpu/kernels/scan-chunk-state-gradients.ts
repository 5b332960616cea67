/**
 * The gradient of the state of a fast-weight scan chunk by chunk, back in time: what `scan-state-gradients.ts` does step by step, with
 * the same tensors. With K, Q and Γ of `scan-chunks.ts`, G the gradient of the state after the chunk, and dw_t the gradient of what step t
 * wrote,
 *
 *   dw_t = Γ(C, t) G k_t + Σ_{s ≥ t} Q_st dy_s − Σ_{s > t} K_st β_s dw_s          (the last sum with the delta rule only; back substitution)
 *   G ← Γ(C) G + Σ_s Γ(s) (dy_s q_sᵀ − β_s dw_s k_sᵀ)
 *
 *   q, k [heads, time, keyDim]   dy, dw [heads, time, valueDim]   G [heads, valueDim, keyDim]   gates [heads, time, 4]
 *
 * `written` gets dw. `boundaries` gets G after every chunk, behind the states that `scan-chunk-states.ts` put there.
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
import { scanStateGradients } from './scan-state-gradients.ts';
import { entryPoint, vectorAccess, vectorsOf } from './wgsl.ts';

/** Workgroup: {@link CHUNK_ROWS} rows of one head. */
export const scanChunkStateGradients: WgslKernel = {
  name: 'scan_chunk_state_gradients',
  storage: scanStateGradients.storage,
  parameters: scanStateGradients.parameters,
  code: (constants, has) => {
    const given = constants as ChunkConstants;
    const { rule, keyDim, before } = given;
    const n = vectorsOf(keyDim);
    const own = (t: string) => `rows[${t} * ${CHUNK_ROWS}u + own_row]`;
    const ofStep = `gradients[t / ${CHUNK_LANES / CHUNK_ROWS}u]`;
    // What is left of G, of dy and of the writes where the chunk begins, `from` a vector of keys or queries.
    const addAll = (what: string, from: 'keys' | 'queries', factor: string, next: string) =>
      eachVector(
        keyDim,
        `      var next = ${next};
      for (var s = 0u; s < ${SCAN_CHUNK}u && ${what}[s] != 0.0; s++) {
        next = fma(vec4f(${factor} * ${own('s')}), ${from}[s * ${n}u + j], next);
      }
      state[at] = next;`,
      );
    const read = before ? 'whole_before' : 'whole';
    return `
${chunkDeclarations(keyDim, has)}
${vectorAccess('boundaries', keyDim, true)}
${vectorAccess('d_state', keyDim, true)}

${entryPoint(CHUNK_LANES)}
${CHUNK_ROW}
  if (is_row) {
    ${eachVector(keyDim, '      state[at] = d_state_vector(state_row, j);')}
  }
  for (var back = 0u; back < chunks; back++) {
    let chunk = chunks - 1u - back;
    let first = chunk * ${SCAN_CHUNK}u;
    let count = min(${SCAN_CHUNK}u, parameters.time - first);
    let start = head * parameters.time + first;
${chunkInputs(given, has)}
    if (is_row) {
    ${eachVector(
      keyDim,
      '      set_boundaries_vector(((parameters.heads + local_head) * chunks + chunk) * parameters.value_dim + row, j, state[at]);',
    )}
    }
    ${eachStep(`      ${own('t')} = 0.0;
      if (is_row && t < count) { ${own('t')} = d_output[cell]; }`)}
    workgroupBarrier();
    var gradients: array<f32, ${(SCAN_CHUNK * CHUNK_ROWS) / CHUNK_LANES}>;
    ${eachStep(`
      ${stateProduct('of_end', 'keys', keyDim)}
      var gradient = scaled(left[t], of_end);
      for (var s = t; s < ${SCAN_CHUNK}u && starts[s] <= t; s++) {
        gradient = fma(of_queries[s * ${SCAN_CHUNK}u + t], ${own('s')}, gradient);
      }
      ${ofStep} = gradient;`)}
    workgroupBarrier();
    let kept = whole[${SCAN_CHUNK - 1}];
    ${addAll(read, 'queries', `${read}[s]`, 'select(kept * state[at], vec4f(), kept == 0.0)')}
    workgroupBarrier();
    ${eachStep(`      ${own('t')} = ${ofStep};`)}
    ${
      rule === 'delta'
        ? `workgroupBarrier();
    if (lane < ${CHUNK_ROWS}u) {
      for (var ago = 1u; ago <= count; ago++) {
        let t = count - ago;
        var gradient = rows[t * ${CHUNK_ROWS}u + lane];
        for (var s = t + 1u; s < count && starts[s] <= t; s++) {
          gradient = fma(-step_gates[s].x * of_keys[s * ${SCAN_CHUNK}u + t], rows[s * ${CHUNK_ROWS}u + lane], gradient);
        }
        rows[t * ${CHUNK_ROWS}u + lane] = gradient;
      }
    }
    workgroupBarrier();
    ${addAll('whole', 'keys', '-step_gates[s].x * whole[s]', 'state[at]')}`
        : ''
    }
    ${eachStep(`      if (is_row && t < count) { written[cell] = ${own('t')}; }`)}
  }
  if (is_row) {
    ${eachVector(keyDim, '      set_d_state_vector(state_row, j, state[at]);')}
  }
}`;
  },
};
