/**
 * The gradient of a fast-weight scan's state, step by step, backward in time: with G_t the gradient of S_t (after everything
 * later),
 *
 *   G ← G + dy_t q_tᵀ          (if y_t = S_t q_t)
 *   written_t = G k_t           the gradient of what step t wrote
 *   G ← a_t (G − β_t written_t k_tᵀ)   for the delta rule;   G ← G diag(a_t)   for the sum
 *   G ← G + dy_t q_tᵀ          (if y_t = S_{t-1} q_t);   G ← 0 at a reset
 *
 *   q, k [heads, time, keyDim]   dy, written [heads, time, valueDim]   G [heads, valueDim, keyDim]
 *
 * Organised as `scan-states.ts`. `d_state` holds dS_T at first and dS_0 in the end; the second half of `boundaries` gets G after every
 * chunk, [heads, chunks, valueDim, keyDim].
 */

import type { WgslKernel } from '../program.ts';
import {
  OWN_ROW,
  SCAN_ROWS,
  type ScanConstants,
  stagedDeclarations,
  stagedInputs,
  stagedSteps,
} from './scan-states.ts';
import { entryPoint, SUM_OF, unrolled, vectorAccess, vectorsOf, vectorType } from './wgsl.ts';

/** Workgroup: `SCAN_ROWS` rows of one head. */
export const scanStateGradients: WgslKernel = {
  name: 'scan_state_gradients',
  storage: ({ keyDim }) => {
    const vectors = vectorType(keyDim as number);
    return {
      q: `read ${vectors}`,
      k: `read ${vectors}`,
      gates: 'read f32',
      decay: `read ${vectors}`,
      d_output: 'read f32',
      written: 'write f32',
      boundaries: `write ${vectors}`,
      d_state: `write ${vectors}`,
    };
  },
  parameters: { first_head: 'u32', heads: 'u32', time: 'u32', value_dim: 'u32' },
  code: (constants, has) => {
    const { rule, keyDim, decays, before, chunk } = constants as ScanConstants;
    const vectors = vectorsOf(keyDim);
    const staged = stagedSteps(vectors);
    const each = (line: (i: number) => string) => unrolled(vectors, line);
    const readGradient = each((i) => `      g${i} = fma(vec4f(dy), queries[at + ${i}u], g${i});`);
    return `${stagedDeclarations(keyDim, has)}
${vectorAccess('boundaries', keyDim, true)}
${vectorAccess('d_state', keyDim, true)}
${SUM_OF}

${entryPoint(SCAN_ROWS)}
${OWN_ROW}
${each((i) => `  var g${i} = vec4f();`)}
  if (is_row) {
${each((i) => `    g${i} = d_state_vector(state_row, ${i}u);`)}
  }
  let blocks = (parameters.time + ${staged - 1}u) / ${staged}u;
  for (var block = 0u; block < blocks; block++) {
    let first = (blocks - 1u - block) * ${staged}u;
    let count = min(${staged}u, parameters.time - first);
${stagedInputs(vectors, has)}
    for (var back = 0u; is_row && back < count; back++) {
      let j = count - 1u - back;
      let time = first + j;
      let at = j * ${vectors}u;
      let cell = (head * parameters.time + time) * parameters.value_dim + row;
      let dy = d_output[cell];
      if (time % ${chunk}u == ${chunk - 1}u || time == parameters.time - 1u) {
        let chunks = (parameters.time + ${chunk - 1}u) / ${chunk}u;
        let kept = ((parameters.heads + local_head) * chunks + time / ${chunk}u) * parameters.value_dim + row;
${each((i) => `        set_boundaries_vector(kept, ${i}u, g${i});`)}
      }
      ${has('gates') ? 'let gate = step_gates[j];' : 'let gate = vec4f(1.0, 1.0, 0.0, 0.0);'}
${before ? '' : readGradient}
      var product = vec4f();
${each((i) => `      product = fma(g${i}, keys[at + ${i}u], product);`)}
      let gradient = sum_of(product);
      written[cell] = gradient;
${rule === 'sum' ? '' : each((i) => `      g${i} = fma(vec4f(-gate.x * gradient), keys[at + ${i}u], g${i});`)}
${decays ? each((i) => `      g${i} *= gate.y;`) : ''}
${has('decay') ? each((i) => `      g${i} *= factors[at + ${i}u];`) : ''}
${before ? readGradient : ''}
      ${
        has('gates')
          ? `if (gate.z != 0.0) {
${each((i) => `        g${i} = vec4f();`)}
      }`
          : ''
      }
    }
  }
  if (is_row) {
${each((i) => `    set_d_state_vector(state_row, ${i}u, g${i});`)}
  }
}`;
  },
};
