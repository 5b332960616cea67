/**
 * Gradients of queries, keys and decays of a fast-weight scan: a chunk of C steps by itself, given the state S before it and
 * the gradient G after it. In the chunk S_t = Γ(t, 0) S + Σ_{r ≤ t} Γ(t, r) w_r k_rᵀ, with w_r what step r wrote and Γ(t, r) the decays
 * after step r up to t (0 across a reset). With
 *
 *   A_tr = dy_t · w_r        B_tr = dv_t · w_r        σ_t = Sᵀ dy_t        τ_t = Sᵀ dv_t        γ_r = Gᵀ w_r
 *
 * every key channel goes its own way. Forward in time, U_r = Γ(t, r) k_r, and back, with T_r the gradient of S_t applied to w_r,
 *
 *   dq_t = Γ(t, 0) σ_t + Σ_r U_r A_tr
 *   T ← T + A_t q_t,   dk_t = T_t − Γ(t, 0) τ_t − Σ_{r < t} U_r B_tr,   T ← T − B_t k_t,   da_t = Σ_{r < t} Γ(t − 1, r) k_r T_r + …,   T ← a_t T
 *
 * where only the delta rule has the terms with dv (Yang et al. 2024, "Parallelizing linear transformers with the delta rule
 * over sequence length", section 3, has the same without decays). Nothing is divided by a decay. If outputs read S before the
 * write, queries meet S_{t-1} (after a reset, before the decay).
 *
 *   q, k, decay, dq, dk, da [heads, time, keyDim]   v or e, dy, dv [heads, time, valueDim]   S, G [heads, chunks, valueDim, keyDim]
 *
 * `boundaries` holds S, then G; `results` gets dq, then dk, then da: a kernel may have eight tensors.
 */

import type { Constants, WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Steps of a chunk. */
export const SCAN_CHUNK = 16;
/** Key channels of a workgroup. */
const COLUMNS = 32;
/** Value channels in workgroup memory at once. */
const STAGED = 16;

/** Constants of the kernel. */
export interface ChunkGradientConstants extends Constants {
  readonly rule: 'sum' | 'delta';
  /** Whether `gates` have a decay for each step. */
  readonly decays: boolean;
  /** Whether y reads S before the step's write. */
  readonly before: boolean;
  /** Whether the gradient of the decays is wanted, for each key channel. */
  readonly withDecay: boolean;
}

/** Number of workgroups that share the key channels of a chunk. */
export function columnTiles(keyDim: number): number {
  return Math.ceil(keyDim / COLUMNS);
}

/** Workgroup: one chunk of one head, {@link COLUMNS} key channels. */
export const scanChunkGradients: WgslKernel = {
  name: 'scan_chunk_gradients',
  storage: () => ({
    q: 'read f32',
    k: 'read f32',
    /** v for the sum rule, the errors for the delta rule. */
    written_values: 'read f32',
    gates: 'read f32',
    decay: 'read f32',
    d_output: 'read f32',
    dv: 'read f32',
    boundaries: 'read f32',
    results: 'write f32',
  }),
  parameters: {
    ...{ first_head: 'u32', heads: 'u32', all_heads: 'u32' },
    ...{ time: 'u32', key_dim: 'u32', value_dim: 'u32' },
  },
  code: (constants, has) => {
    const { rule, decays, before, withDecay } = constants as ChunkGradientConstants;
    const isDelta = rule === 'delta';
    const C = SCAN_CHUNK;
    return `
const C = ${C}u;
// Step by step, ${STAGED} value channels at a time.
var<workgroup> w: array<f32, ${C * STAGED}>;
var<workgroup> dy: array<f32, ${C * STAGED}>;
${isDelta ? `var<workgroup> dv_staged: array<f32, ${C * STAGED}>;` : ''}
// A and B, row by row: row t, column r.
var<workgroup> a: array<f32, ${C * C}>;
${isDelta ? `var<workgroup> b: array<f32, ${C * C}>;` : ''}
var<workgroup> step_gates: array<vec4f, ${C}>;

${entryPoint(COLUMNS)}
  let tiles = (parameters.key_dim + ${COLUMNS - 1}u) / ${COLUMNS}u;
  let chunks = (parameters.time + C - 1u) / C;
  let chunk = group_index(group, groups) / tiles;
  if (chunk >= parameters.heads * chunks) { return; }
  let head = parameters.first_head + chunk / chunks;
  let first = (chunk % chunks) * C;
  let count = min(C, parameters.time - first);
  let column = (group_index(group, groups) % tiles) * ${COLUMNS}u + lane;
  let is_column = column < parameters.key_dim;
  let start = head * parameters.time + first;
  let size = parameters.all_heads * parameters.time * parameters.key_dim;

  if (lane < C) {
    step_gates[lane] = vec4f(1.0, 1.0, 0.0, 0.0);
    ${
      has('gates')
        ? 'if (lane < count) { let g = 4u * (start + lane); step_gates[lane] = vec4f(gates[g], gates[g + 1u], gates[g + 2u], 0.0); }'
        : ''
    }
  }
  var products_a: array<f32, ${(C * C) / COLUMNS}>;
  ${isDelta ? `var products_b: array<f32, ${(C * C) / COLUMNS}>;` : ''}
  var sigma: array<f32, ${C}>;
  ${isDelta ? `var tau: array<f32, ${C}>;` : ''}
  var gamma: array<f32, ${C}>;
  var both = 0.0;

  for (var value = 0u; value < parameters.value_dim; value += ${STAGED}u) {
    workgroupBarrier();
    for (var i = lane; i < ${C * STAGED}u; i += ${COLUMNS}u) {
      let t = i / ${STAGED}u;
      let channel = value + i % ${STAGED}u;
      let cell = (start + t) * parameters.value_dim + channel;
      w[i] = 0.0;
      dy[i] = 0.0;
      ${isDelta ? 'dv_staged[i] = 0.0;' : ''}
      if (t < count && channel < parameters.value_dim) {
        w[i] = written_values[cell]${isDelta ? ' * step_gates[t].x' : ''};
        dy[i] = d_output[cell];
        ${isDelta ? 'dv_staged[i] = dv[cell];' : ''}
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < ${(C * C) / COLUMNS}u; n++) {
      let pair = n * ${COLUMNS}u + lane;
      let t = (pair / C) * ${STAGED}u;
      let r = (pair % C) * ${STAGED}u;
      for (var i = 0u; i < ${STAGED}u; i++) {
        products_a[n] = fma(dy[t + i], w[r + i], products_a[n]);
        ${isDelta ? 'products_b[n] = fma(dv_staged[t + i], w[r + i], products_b[n]);' : ''}
      }
    }
    for (var i = 0u; is_column && i < ${STAGED}u && value + i < parameters.value_dim; i++) {
      let cell = (chunk * parameters.value_dim + value + i) * parameters.key_dim + column;
      let s = boundaries[cell];
      let g = boundaries[parameters.heads * chunks * parameters.value_dim * parameters.key_dim + cell];
      both = fma(s, g, both);
      for (var t = 0u; t < C; t++) {
        sigma[t] = fma(dy[t * ${STAGED}u + i], s, sigma[t]);
        ${isDelta ? `tau[t] = fma(dv_staged[t * ${STAGED}u + i], s, tau[t]);` : ''}
        gamma[t] = fma(w[t * ${STAGED}u + i], g, gamma[t]);
      }
    }
  }
  for (var n = 0u; n < ${(C * C) / COLUMNS}u; n++) {
    let pair = n * ${COLUMNS}u + lane;
    let t = pair / C;
    let r = pair % C;
    a[pair] = select(0.0, products_a[n], r ${before ? '<' : '<='} t);
    ${isDelta ? 'b[pair] = select(0.0, products_b[n], r < t);' : ''}
  }
  workgroupBarrier();
  if (!is_column) { return; }

  // From here on every channel by itself.
  var keys: array<f32, ${C}>;
  var queries: array<f32, ${C}>;
  var factors: array<f32, ${C}>;
  for (var t = 0u; t < C; t++) {
    factors[t] = ${decays ? 'step_gates[t].y' : '1.0'};
    if (t < count) {
      let cell = (start + t) * parameters.key_dim + column;
      keys[t] = k[cell];
      queries[t] = q[cell];
      ${has('decay') ? 'factors[t] = decay[cell];' : ''}
    }
  }
  // Forward: what is left of every write, and of S.
  var left: array<f32, ${C}>;
  var left_of_state = 1.0;
  var key_gradients: array<f32, ${C}>;
  for (var t = 0u; t < count; t++) {
    if (step_gates[t].z != 0.0) {
      left_of_state = 0.0;
      for (var r = 0u; r < C; r++) { left[r] = 0.0; }
    }
    ${before ? 'results[(start + t) * parameters.key_dim + column] = read_gradient(t, left_of_state, sigma[t], &left);' : ''}
    left_of_state *= factors[t];
    for (var r = 0u; r < C; r++) { left[r] *= factors[t]; }
    ${
      isDelta
        ? `var recalled = scaled(left_of_state, tau[t]);
    for (var r = 0u; r < C; r++) { recalled = fma(left[r], b[t * C + r], recalled); }
    key_gradients[t] = -recalled;`
        : ''
    }
    left[t] = keys[t];
    ${before ? '' : 'results[(start + t) * parameters.key_dim + column] = read_gradient(t, left_of_state, sigma[t], &left);'}
  }
  // Back: the gradient of the state, applied to every write and to S.
  var applied = gamma;
  var applied_to_state = both;
  for (var back = 0u; back < count; back++) {
    let t = count - 1u - back;
    ${
      before
        ? ''
        : `for (var r = 0u; r < C; r++) { applied[r] = fma(a[t * C + r], queries[t], applied[r]); }
    applied_to_state = fma(sigma[t], queries[t], applied_to_state);`
    }
    results[size + (start + t) * parameters.key_dim + column] = key_gradients[t] + applied[t];
    ${
      isDelta
        ? `for (var r = 0u; r < C; r++) { applied[r] = fma(-b[t * C + r], keys[t], applied[r]); }
    applied_to_state = fma(-tau[t], keys[t], applied_to_state);`
        : ''
    }
    let resets = step_gates[t].z != 0.0;
    ${
      withDecay
        ? `var product = 1.0;
    var slope = 0.0;
    for (var ago = 0u; ago < t; ago++) {
      let r = t - 1u - ago;
      slope += scaled(product, keys[r] * applied[r]);
      product *= select(factors[r], 0.0, step_gates[r].z != 0.0);
    }
    slope += scaled(product, applied_to_state);
    results[2u * size + (start + t) * parameters.key_dim + column] = select(slope, 0.0, resets);`
        : ''
    }
    for (var r = 0u; r < C; r++) { applied[r] *= factors[t]; }
    applied_to_state *= factors[t];
    ${
      before
        ? `for (var r = 0u; r < C; r++) { applied[r] = fma(a[t * C + r], queries[t], applied[r]); }
    applied_to_state = fma(sigma[t], queries[t], applied_to_state);`
        : ''
    }
    if (resets) {
      for (var r = 0u; r < C; r++) { applied[r] = 0.0; }
      applied_to_state = 0.0;
    }
  }
}

/** factor · x, and 0 for a factor of 0 whatever x is: NaN does not come through a reset. */
fn scaled(factor: f32, x: f32) -> f32 {
  return select(factor * x, 0.0, factor == 0.0);
}

fn read_gradient(t: u32, left_of_state: f32, from_state: f32, left: ptr<function, array<f32, ${C}>>) -> f32 {
  var sum = scaled(left_of_state, from_state);
  for (var r = 0u; r < C; r++) { sum = fma((*left)[r], a[t * C + r], sum); }
  return sum;
}`;
  },
};
