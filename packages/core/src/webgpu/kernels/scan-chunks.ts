/**
 * What the chunkwise forms of a fast-weight scan share (Yang et al. 2024, "Parallelizing linear transformers with the delta rule over
 * sequence length", section 3, and "Gated delta networks", section 3.3). Within a chunk of C steps, from the state S before it,
 *
 *   S_t = Γ(t) S + Σ_{r ≤ t} Γ(t, r) w_r k_rᵀ        K_tr = Γ(t, r) k_t · k_r  (r < t)        Q_tr = Γ(t, r) q_t · k_r  (r ≤ t)
 *
 * with Γ(t, r) the decays after step r up to t, Γ(t) those of the chunk up to t, and both 0 across a reset. If outputs read S before
 * the write, Q_tr has Γ(t − 1, r) and r < t. Nothing is divided by a decay.
 *
 * A workgroup has some rows of S of one head, [rows, keyDim], in workgroup memory, and goes through the chunks one after another: what a
 * chunk needs of S and gives to it are matrix products, a few barriers for C steps.
 */

import type { Constants } from '../program.ts';
import { SCAN_CHUNK } from './scan-chunk-gradients.ts';
import { ownHead } from './scan-heads.ts';
import { SUM_OF, vectorAccess, vectorsOf } from './wgsl.ts';

/** Rows of S in a workgroup. */
export const CHUNK_ROWS = 16;
/** Invocations of a workgroup: each has a row, and of the steps of a chunk, as of the vectors of a row, one of eight. */
export const CHUNK_LANES = 128;
const STEPS_AT_ONCE = CHUNK_LANES / CHUNK_ROWS;

/** Constants of both kernels. */
export interface ChunkConstants extends Constants {
  readonly rule: 'sum' | 'delta' | 'replay';
  readonly keyDim: number;
  /** Whether `gates` have a decay for each step. */
  readonly decays: boolean;
  /** Whether y reads S before the step's write. */
  readonly before: boolean;
}

/** Bytes of workgroup memory of the kernels. */
export function chunkBytes(keyDim: number): number {
  const vectors = vectorsOf(keyDim);
  const floats = 2 * SCAN_CHUNK * SCAN_CHUNK + SCAN_CHUNK * CHUNK_ROWS + 4 * SCAN_CHUNK;
  return 16 * (CHUNK_ROWS * (vectors + 1) + 2 * SCAN_CHUNK * vectors + SCAN_CHUNK) + 4 * floats;
}

/** Declarations outside of `main`. */
export function chunkDeclarations(keyDim: number, has: (tensor: string) => boolean): string {
  const [vectors, steps] = [vectorsOf(keyDim), SCAN_CHUNK];
  const accesses = ['k', 'q'].map((name) => (has(name) ? vectorAccess(name, keyDim) : ''));
  return `
var<workgroup> state: array<vec4f, ${CHUNK_ROWS * (vectors + 1)}>;
var<workgroup> keys: array<vec4f, ${steps * vectors}>;
var<workgroup> queries: array<vec4f, ${steps * vectors}>;
// K and Q, row by row: row t, column r.
var<workgroup> of_keys: array<f32, ${steps * steps}>;
var<workgroup> of_queries: array<f32, ${steps * steps}>;
var<workgroup> rows: array<f32, ${steps * CHUNK_ROWS}>;
var<workgroup> step_gates: array<vec4f, ${steps}>;
// The last reset up to a step; what is left, after a step, of the chunk's beginning; before it; and at the end, of the step.
var<workgroup> starts: array<u32, ${steps}>;
var<workgroup> whole: array<f32, ${steps}>;
var<workgroup> whole_before: array<f32, ${steps}>;
var<workgroup> left: array<f32, ${steps}>;
${accesses.join('\n')}
${SUM_OF}
/** factor · x, and 0 for a factor of 0 whatever x is: NaN does not come through a reset. */
fn scaled(factor: f32, x: f32) -> f32 {
  return select(factor * x, 0.0, factor == 0.0);
}`;
}

/** Beginning of `main`: which head and rows, and what of them an invocation has. */
export const CHUNK_ROW: string = `  let tiles = (parameters.value_dim + ${CHUNK_ROWS - 1}u) / ${CHUNK_ROWS}u;
${ownHead('group_index(group, groups) / tiles')}
  let chunks = (parameters.time + ${SCAN_CHUNK - 1}u) / ${SCAN_CHUNK}u;
  let own_row = lane % ${CHUNK_ROWS}u;
  let part = lane / ${CHUNK_ROWS}u;
  let row = (group_index(group, groups) % tiles) * ${CHUNK_ROWS}u + own_row;
  let is_row = row < parameters.value_dim;
  let state_row = head * parameters.value_dim + row;`;

/** Lines for the vectors of its row that an invocation has: `j`, and `at` of `state`. */
export function eachVector(keyDim: number, lines: string): string {
  const vectors = vectorsOf(keyDim);
  return `for (var j = part; j < ${vectors}u; j += ${STEPS_AT_ONCE}u) {
      let at = own_row * ${vectors + 1}u + j;
${lines}
    }`;
}

/** Lines for the steps of a chunk that an invocation has: `t`, and `cell` of a tensor with a row for each step. */
export function eachStep(lines: string): string {
  return `for (var t = part; t < ${SCAN_CHUNK}u; t += ${STEPS_AT_ONCE}u) {
      let cell = (start + t) * parameters.value_dim + row;
${lines}
    }`;
}

/** `let <name>`: the product of a row of `state` with one of `keys` or `queries`. */
export function stateProduct(name: string, vectors: 'keys' | 'queries', keyDim: number): string {
  const n = vectorsOf(keyDim);
  return `var ${name}_vector = vec4f();
      for (var j = 0u; j < ${n}u; j++) { ${name}_vector = fma(state[own_row * ${n + 1}u + j], ${vectors}[t * ${n}u + j], ${name}_vector); }
      let ${name} = sum_of(${name}_vector);`;
}

/**
 * Reads keys, queries and gates of the `count` steps of a chunk from `start` on, and makes K, Q and what is left of what. Between
 * barriers, of which the last is for the caller.
 */
export function chunkInputs({ keyDim, decays, before }: ChunkConstants, has: (tensor: string) => boolean): string {
  const [n, steps] = [vectorsOf(keyDim), SCAN_CHUNK];
  return `    workgroupBarrier();
    for (var i = lane; i < ${steps * n}u; i += ${CHUNK_LANES}u) {
      let t = i / ${n}u;
      keys[i] = vec4f();
      queries[i] = vec4f();
      if (t < count) {
        keys[i] = k_vector(start + t, i % ${n}u);
        ${has('q') ? `queries[i] = q_vector(start + t, i % ${n}u);` : ''}
      }
    }
    if (lane < ${steps}u) {
      step_gates[lane] = vec4f(1.0, 1.0, 0.0, 0.0);
      ${has('gates') ? 'if (lane < count) { let g = 4u * (start + lane); step_gates[lane] = vec4f(gates[g], gates[g + 1u], gates[g + 2u], 0.0); }' : ''}
    }
    workgroupBarrier();
    if (lane < ${steps}u) {
      var from_start = 1.0;
      var before_step = 1.0;
      starts[lane] = 0u;
      for (var t = 0u; t <= lane; t++) {
        let is_reset = step_gates[t].z != 0.0;
        if (is_reset) { starts[lane] = t; }
        before_step = select(from_start, 0.0, is_reset);
        from_start = before_step${decays ? ' * step_gates[t].y' : ''};
      }
      whole[lane] = from_start;
      whole_before[lane] = before_step;
      var to_end = 1.0;
      for (var t = lane + 1u; t < ${steps}u; t++) { to_end *= select(${decays ? 'step_gates[t].y' : '1.0'}, 0.0, step_gates[t].z != 0.0); }
      left[lane] = to_end;
    }
    for (var pair = lane; pair < ${steps * steps}u; pair += ${CHUNK_LANES}u) {
      let t = pair / ${steps}u;
      let r = pair % ${steps}u;
      var key_product = vec4f();
      var query_product = vec4f();
      for (var j = 0u; j < ${n}u; j++) {
        let key = keys[r * ${n}u + j];
        key_product = fma(keys[t * ${n}u + j], key, key_product);
        query_product = fma(queries[t * ${n}u + j], key, query_product);
      }
      var factor = 1.0;
      ${decays ? `for (var s = r + 1u; s < t; s++) { factor *= step_gates[s].y; }` : ''}
      let decayed = ${decays ? 'select(factor, factor * step_gates[t].y, r < t)' : 'factor'};
      of_keys[pair] = select(0.0, decayed * sum_of(key_product), r < t);
      of_queries[pair] = select(0.0, ${before ? 'factor' : 'decayed'} * sum_of(query_product), r ${before ? '<' : '<='} t);
    }
    workgroupBarrier();`;
}
