/**
 * Fast-weight scans, step by step, forward in time (Schlag, Irie and Schmidhuber 2021, equations 23 to 25; with decays Yang et
 * al. 2024, "Gated delta networks", equation 10, and "Gated linear attention transformers", equation 3):
 *
 *   sum     S_t = S_{t-1} diag(a_t) + v_t k_tᵀ                                      y_t = S_t q_t, or S_{t-1} q_t
 *   delta   S_t = a_t S_{t-1} + β_t e_t k_tᵀ        e_t = v_t − a_t S_{t-1} k_t      (before the decay, after a reset)
 *   replay  S_t = a_t S_{t-1} + β_t e_t k_tᵀ        e_t given
 *
 *   q, k [heads, time, keyDim]   v, e, y [heads, time, valueDim]   S [heads, valueDim, keyDim]   gates [heads, time, 4]
 *
 * The rows of S do not know of each other. An invocation has one row in its registers through all steps; a workgroup reads the
 * keys and queries of a few steps at a time for its 32 rows, and needs no barrier in between. `boundaries` gets S before every
 * chunk, [heads, chunks, valueDim, keyDim], of the `heads` that run, from `first_head` on.
 */

import type { Constants, WgslKernel } from '../program.ts';
import { ownHead } from './scan-heads.ts';
import { entryPoint, SUM_OF, unrolled, vectorAccess, vectorsOf, vectorType } from './wgsl.ts';

/** Rows of S in a workgroup. */
export const SCAN_ROWS = 32;
/** Longest keys: a row of S in registers. */
export const MAX_SCAN_KEY_DIM = 256;
/** Vectors of keys in workgroup memory: 4 KiB. */
const STAGED_VECTORS = 256;
const MOST_STAGED_STEPS = 16;

/** Constants of the scans. */
export interface ScanConstants extends Constants {
  readonly rule: 'sum' | 'delta' | 'replay';
  readonly keyDim: number;
  /** Whether `gates` have a decay for each step. */
  readonly decays: boolean;
  /** Whether y reads S before the step's write. */
  readonly before: boolean;
  /** Steps between two `boundaries`. */
  readonly chunk: number;
}

/** Steps whose keys are in workgroup memory at once. */
export function stagedSteps(keyVectors: number): number {
  return Math.max(1, Math.min(MOST_STAGED_STEPS, Math.floor(STAGED_VECTORS / keyVectors)));
}

/** Workgroup memory for keys, queries, decays and gates of {@link stagedSteps} steps, and how vectors of them are read. */
export function stagedDeclarations(keyDim: number, has: (tensor: string) => boolean): string {
  const vectors = vectorsOf(keyDim);
  const staged = stagedSteps(vectors);
  return `
var<workgroup> keys: array<vec4f, ${staged * vectors}>;
${has('q') ? `var<workgroup> queries: array<vec4f, ${staged * vectors}>;` : ''}
${has('decay') ? `var<workgroup> factors: array<vec4f, ${staged * vectors}>;` : ''}
${has('gates') ? `var<workgroup> step_gates: array<vec4f, ${staged}>;` : ''}
${vectorAccess('k', keyDim)}
${has('q') ? vectorAccess('q', keyDim) : ''}
${has('decay') ? vectorAccess('decay', keyDim) : ''}`;
}

/** Reads keys, queries, decays and gates of `count` steps, from `first` on, into workgroup memory. */
export function stagedInputs(vectors: number, has: (tensor: string) => boolean): string {
  return `    workgroupBarrier();
    for (var i = lane; i < count * ${vectors}u; i += ${SCAN_ROWS}u) {
      let step = head * parameters.time + first + i / ${vectors}u;
      keys[i] = k_vector(step, i % ${vectors}u);
      ${has('q') ? `queries[i] = q_vector(step, i % ${vectors}u);` : ''}
      ${has('decay') ? `factors[i] = decay_vector(step, i % ${vectors}u);` : ''}
    }
    ${
      has('gates')
        ? `if (lane < count) {
      let g = 4u * (head * parameters.time + first + lane);
      step_gates[lane] = vec4f(gates[g], gates[g + 1u], gates[g + 2u], 0.0);
    }`
        : ''
    }
    workgroupBarrier();`;
}

/** Which head and which row of S an invocation has; behind the last head there is nothing to do. */
export const OWN_ROW: string = `  let tiles = (parameters.value_dim + ${SCAN_ROWS - 1}u) / ${SCAN_ROWS}u;
${ownHead('group_index(group, groups) / tiles')}
  let row = (group_index(group, groups) % tiles) * ${SCAN_ROWS}u + lane;
  let is_row = row < parameters.value_dim;
  let state_row = head * parameters.value_dim + row;`;

/** Workgroup: {@link SCAN_ROWS} rows of one head. */
export const scanStates: WgslKernel = {
  name: 'scan_states',
  storage: ({ keyDim }) => {
    const vectors = vectorType(keyDim as number);
    return {
      q: `read ${vectors}`,
      k: `read ${vectors}`,
      v: 'read f32',
      gates: 'read f32',
      decay: `read ${vectors}`,
      initial_state: `read ${vectors}`,
      errors: 'write f32',
      output: 'write f32',
      final_state: `write ${vectors}`,
      boundaries: `write ${vectors}`,
    };
  },
  parameters: { first_head: 'u32', heads: 'u32', time: 'u32', value_dim: 'u32' },
  code: (constants, has) => {
    const { rule, keyDim, decays, before, chunk } = constants as ScanConstants;
    const vectors = vectorsOf(keyDim);
    const staged = stagedSteps(vectors);
    const each = (line: (i: number) => string) => unrolled(vectors, line);
    const readOut = has('output')
      ? `
      var read = vec4f();
${each((i) => `      read = fma(s${i}, queries[at + ${i}u], read);`)}
      output[cell] = sum_of(read);`
      : '';
    return `${stagedDeclarations(keyDim, has)}
${has('initial_state') ? vectorAccess('initial_state', keyDim) : ''}
${has('final_state') ? vectorAccess('final_state', keyDim, true) : ''}
${has('boundaries') ? vectorAccess('boundaries', keyDim, true) : ''}
${SUM_OF}

${entryPoint(SCAN_ROWS)}
${OWN_ROW}
${each((i) => `  var s${i} = vec4f();`)}
${
  has('initial_state')
    ? `  if (is_row) {
${each((i) => `    s${i} = initial_state_vector(state_row, ${i}u);`)}
  }`
    : ''
}
  for (var first = 0u; first < parameters.time; first += ${staged}u) {
    let count = min(${staged}u, parameters.time - first);
${stagedInputs(vectors, has)}
    for (var j = 0u; is_row && j < count; j++) {
      let time = first + j;
      let at = j * ${vectors}u;
      let cell = (head * parameters.time + time) * parameters.value_dim + row;
      ${
        has('boundaries')
          ? `if (time % ${chunk}u == 0u) {
        let chunks = (parameters.time + ${chunk - 1}u) / ${chunk}u;
        let kept = (local_head * chunks + time / ${chunk}u) * parameters.value_dim + row;
${each((i) => `        set_boundaries_vector(kept, ${i}u, s${i});`)}
      }`
          : ''
      }
      ${
        has('gates')
          ? `let gate = step_gates[j];
      if (gate.z != 0.0) {
${each((i) => `        s${i} = vec4f();`)}
      }`
          : 'let gate = vec4f(1.0, 1.0, 0.0, 0.0);'
      }
${before ? readOut : ''}
${decays ? each((i) => `      s${i} *= gate.y;`) : ''}
${has('decay') ? each((i) => `      s${i} *= factors[at + ${i}u];`) : ''}
      var written = v[cell];
      ${
        rule === 'delta'
          ? `var recalled = vec4f();
${each((i) => `      recalled = fma(s${i}, keys[at + ${i}u], recalled);`)}
      written -= sum_of(recalled);
      ${has('errors') ? 'errors[cell] = written;' : ''}`
          : ''
      }
      ${rule === 'sum' ? '' : 'written *= gate.x;'}
${each((i) => `      s${i} = fma(vec4f(written), keys[at + ${i}u], s${i});`)}
${before ? '' : readOut}
    }
  }
  ${
    has('final_state')
      ? `if (is_row) {
${each((i) => `    set_final_state_vector(state_row, ${i}u, s${i});`)}
  }`
      : ''
  }
}`;
  },
};
