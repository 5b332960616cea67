/**
 * The gradient of the Recurrent Delta Net (`recurrent-delta.ts`), all steps of a head in one workgroup, from the last to the
 * first. With G the gradient of S_t and dy that of y_t, which step t + 1 adds to,
 *
 *   G += dy qᵀ   a = G k   dβ = a · e   dv = β a   dk = Gᵀ w − S_{t-1}ᵀ dv   dq = S_{t-1}ᵀ dy + k (w · dy)   G −= dv kᵀ
 *
 * then through softmax and σ to the gradients of q_t, k_t, v_t and β_t, and from them
 *
 *   dr = R_qᵀ dq_t + R_kᵀ dk_t + R_vᵀ dv_t + r_b dβ_t      dy_{t-1} += (1 − r²) ∘ dr
 *
 * G, Sᵀ and the transposed recurrent weights stay in registers. `boundaries` has S before every segment of steps, from which S is
 * made again as the forward made it, and noted before each step of the segment; it never goes backwards.
 *
 * `sequences` holds q, k, e and r as the forward kept them, and dy, of all heads and steps, one after the other; `gates` (β, 1, reset, 0).
 * `results` gets the gradients of q_t, k_t, v_t, β_t, S_0 and y_0, and comes with that of the last S in the place of the first.
 * `notes` and `boundaries` are of the `heads` that run, from `first_head` on.
 */

import type { WgslKernel } from '../program.ts';
import { type RecurrentDeltaConstants, recurrentWeightRows } from './recurrent-delta.ts';
import { dot, elementOf, lanesFor, RegisterMatrix, shared, vectorAt, workgroupVectors } from './register-matrix.ts';
import { ownHeadInSegments } from './scan-heads.ts';
import { entryPoint } from './wgsl.ts';

/** Steps between `boundaries`, whose states are noted at once. */
export const RECURRENT_SEGMENT = 16;

/** Elements of `notes` for each head. */
export function recurrentDeltaNotes(n: number, m: number): number {
  return RECURRENT_SEGMENT * new RegisterMatrix('state', n, m, lanesFor(m, n)).noteSize;
}

/** Workgroup: one head. */
export const recurrentDeltaGradient: WgslKernel = {
  name: 'recurrent_delta_gradient',
  storage: () => ({
    sequences: 'read f32',
    gates: 'read f32',
    weights: 'read f32',
    boundaries: 'read f32',
    notes: 'write vec4f',
    results: 'write f32',
  }),
  parameters: { first_head: 'u32', heads: 'u32', all_heads: 'u32', heads_per_batch: 'u32', time: 'u32' },
  code: (constants) => {
    const { keyDim: n, valueDim: m } = constants as RecurrentDeltaConstants;
    const lanes = lanesFor(m, n);
    const state = new RegisterMatrix('state', n, m, lanes);
    const gradient = new RegisterMatrix('gradient', m, n, lanes, 'both');
    const recurrent = new RegisterMatrix('recurrent', m, 2 * n + m + 1, lanes);
    const key = Math.max(state.paddedRows, gradient.paddedColumns);
    const value = Math.max(state.paddedColumns, gradient.paddedRows);
    // Partial sums of the first two products, and of the second two.
    const [ofRead, ofErased, ofWritten] = [gradient.rowSums, 0, state.rowSums];
    const gradientAt = `parameters.all_heads * parameters.time * ${2 * n + m + 1}u + (base * ${m}u + row) * ${n}u + column`;
    const segment = RECURRENT_SEGMENT;
    return `
${workgroupVectors(
  {
    ...{ q: key, k: key, dq: n, dk: n },
    ...{ dy: value, write: value, a: value, error: m, dr: m },
    upstream: recurrent.paddedColumns,
  },
  Math.max(gradient.rowSums + state.rowSums, state.rowSums + gradient.columnSums, recurrent.rowSums),
)}
${recurrentWeightRows(n, m)}
${recurrent.reader('weights', 'weights[weight_at(base, column) + row]')}
${state.reader('boundary', `boundaries[(base * ${m}u + column) * ${n}u + row]`)}
${gradient.reader('final', `results[${gradientAt}]`)}
${gradient.writer('initial', `results[${gradientAt}] = x[i]`)}

${entryPoint(lanes)}
${ownHeadInSegments(segment)}
${state.declare()}
${gradient.declare()}
${recurrent.declare()}
${recurrent.load('weights', 'head % parameters.heads_per_batch')}
${gradient.load('final', 'head')}
  for (var t_end = parameters.time; t_end > 0u;) {
    let first = (t_end - 1u) / ${segment}u * ${segment}u;
${state.load('boundary', `local_head * segments + first / ${segment}u`)}
    for (var t = first; t < t_end; t++) {
      let step = head * parameters.time + t;
      if (gates[4u * step + 2u] != 0.0) {
${state.clear()}
      }
${state.note('notes', `local_head * ${segment}u + t - first`)}
      let beta = gates[4u * step];
${state.add(
  (row) => `element((steps + step) * ${n}u, ${row}, ${n}u)`,
  (column) => `beta * elements(steps * ${2 * n}u + step * ${m}u, ${column}, ${m}u)`,
)}
    }
    for (var t = t_end; t > first;) {
      t--;
      let step = head * parameters.time + t;
      let beta = gates[4u * step];
${state.recall('notes', `local_head * ${segment}u + t - first`)}
      let is_cut = t + 1u < parameters.time && gates[4u * step + 6u] != 0.0;
      if (is_cut) {
${gradient.clear()}
      }
${shared(
  m,
  lanes,
  `var d_output = sequences[steps * ${2 * n + 2 * m}u + step * ${m}u + i];
if (t + 1u < parameters.time && !is_cut) {
  let r = sequences[steps * ${2 * n + m}u + (step + 1u) * ${m}u + i];
  d_output = fma(1.0 - r * r, dr[i], d_output);
}
dy[i] = d_output;
error[i] = sequences[steps * ${2 * n}u + step * ${m}u + i];
write[i] = beta * error[i];`,
)}
${shared(n, lanes, `q[i] = sequences[step * ${n}u + i];\nk[i] = sequences[(steps + step) * ${n}u + i];`)}
      workgroupBarrier();
${gradient.add(elementOf('dy'), vectorAt('q'))}
${gradient.multiply('k', 0)}
${state.multiply('dy', ofRead)}
      workgroupBarrier();
${dot('written', 'write', 'dy', m)}
${shared(
  m,
  lanes,
  `a[i] = ${gradient.product(0, 'i')};
results[steps * ${2 * n}u + step * ${m}u + i] = beta * a[i];
upstream[${2 * n}u + i] = beta * a[i];`,
)}
${shared(n, lanes, `dq[i] = fma(k[i], written, ${state.product(ofRead, 'i')});`)}
      workgroupBarrier();
${dot('d_beta', 'a', 'error', m)}
      if (lane == 0u) {
        let d_rate = d_beta * beta * (1.0 - beta);
        results[steps * ${2 * n + m}u + step] = d_rate;
        upstream[${2 * n + m}] = d_rate;
      }
${state.multiply('a', ofErased)}
${gradient.multiplyTransposed('write', ofWritten)}
      workgroupBarrier();
${shared(n, lanes, `dk[i] = fma(-beta, ${state.product(ofErased, 'i')}, ${gradient.transposedProduct(ofWritten, 'i')});`)}
      workgroupBarrier();
${dot('of_queries', 'q', 'dq', n)}
${dot('of_keys', 'k', 'dk', n)}
${shared(
  n,
  lanes,
  `upstream[i] = q[i] * (dq[i] - of_queries);
upstream[${n}u + i] = k[i] * (dk[i] - of_keys);
results[step * ${n}u + i] = upstream[i];
results[(steps + step) * ${n}u + i] = upstream[${n}u + i];`,
)}
${gradient.add((row) => `-beta * a[${row}]`, vectorAt('k'))}
      workgroupBarrier();
${recurrent.multiply('upstream', 0)}
      workgroupBarrier();
${shared(m, lanes, `dr[i] = ${recurrent.product(0, 'i')};`)}
    }
    t_end = first;
  }
  let is_cut = gates[4u * head * parameters.time + 2u] != 0.0;
  if (is_cut) {
${gradient.clear()}
  }
${gradient.store('initial', 'head')}
${shared(
  m,
  lanes,
  `let r = sequences[steps * ${2 * n + m}u + head * parameters.time * ${m}u + i];
results[steps * ${2 * n + m + 1}u + parameters.all_heads * ${m * n}u + head * ${m}u + i] = select((1.0 - r * r) * dr[i], 0.0, is_cut);`,
)}
}

/** Element i of a row of \`size\` that begins at \`base\`, and four from there on; zeros beyond it. */
fn element(base: u32, i: u32, size: u32) -> f32 {
  if (i < size) { return sequences[base + i]; }
  return 0.0;
}
fn elements(base: u32, i: u32, size: u32) -> vec4f {
  return vec4f(element(base, i, size), element(base, i + 1u, size), element(base, i + 2u, size), element(base, i + 3u, size));
}`;
  },
};
