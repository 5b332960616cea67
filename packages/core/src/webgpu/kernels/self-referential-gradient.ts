/**
 * The gradient of the self-referential weight matrix (`self-referential.ts`), all steps of a head in one workgroup, from the last
 * to the first. With G the gradient of W_t,
 *
 *   dw = k_t G     dk = G w_t     dD = β ∘ dw     dβ = Σ_block dw ∘ D     du = W_{t-1} dD     G += (q_t − k_t)ᵀ dD
 *   g = dy_t and the gradients before softmax and σ of dq = du, dk − du and dβ, side by side
 *   dx_t = W_{t-1} g     G += x_tᵀ g
 *
 * G and W stay in registers. W is made again as the forward made it: from an anchor, through a long segment with a note before
 * each short one in it, then through a short one with a note before each step. It never goes backwards.
 *
 * `sequences` holds (q, k, β), D and dy of all heads and steps, one after the other. `results` gets the gradients of x, of the
 * initial state, and each head's part in that of W_0; it comes with that of the final state in the place of the initial one's. That part
 * is G where a sequence begins, at resets too, less the gradient of the final state, which is W less W_0. `notes` are of the `heads`
 * that run, from `first_head` on.
 */

import type { WgslKernel } from '../program.ts';
import { dot, lanesFor, RegisterMatrix, shared, vectorAt, workgroupVectors } from './register-matrix.ts';
import { headResets, ownHeadInSegments } from './scan-heads.ts';
import { blocks, SELF_REFERENTIAL_SEGMENT, type SelfReferentialConstants } from './self-referential.ts';
import { entryPoint } from './wgsl.ts';

/** Steps of a short segment. */
const SHORT = 16;
/** Notes of a head: before the steps of a short segment, and before the short segments of a long one. */
const NOTES = SHORT + SELF_REFERENTIAL_SEGMENT / SHORT;

function matrices(d: number, o: number): { lanes: number; state: RegisterMatrix; gradient: RegisterMatrix } {
  const c = o + 2 * d + 4;
  const lanes = lanesFor(d, c);
  return {
    lanes,
    state: new RegisterMatrix('state', d, c, lanes),
    gradient: new RegisterMatrix('gradient', d, c, lanes, 'both'),
  };
}

/** Elements of `notes` for each head. */
export function selfReferentialNotes(d: number, o: number): number {
  return NOTES * matrices(d, o).state.noteSize;
}

/** Workgroup: one head. */
export const selfReferentialGradient: WgslKernel = {
  name: 'self_referential_gradient',
  storage: () => ({
    x: 'read f32',
    weights: 'read f32',
    resets: 'read i32',
    sequences: 'read f32',
    anchors: 'read f32',
    notes: 'write vec4f',
    results: 'write f32',
  }),
  parameters: { first_head: 'u32', heads: 'u32', all_heads: 'u32', heads_per_batch: 'u32', time: 'u32' },
  code: (constants, has) => {
    const { dim: d, outputDim: o } = constants as SelfReferentialConstants;
    const [c, activations, long] = [o + 2 * d + 4, 2 * d + 4, SELF_REFERENTIAL_SEGMENT];
    const { lanes, state, gradient } = matrices(d, o);
    const row = Math.max(state.paddedRows, gradient.paddedRows);
    const column = Math.max(state.paddedColumns, gradient.paddedColumns);
    const stateAt = `(base * ${d}u + row) * ${c}u + column`;
    const [initialAt, partAt] = [0, 1].map(
      (index) => `parameters.all_heads * (parameters.time * ${d}u + ${index * d * c}u) + ${stateAt}`,
    );
    // W, from before step t to behind it.
    const forward = `
let step = head * parameters.time + t;
if (is_reset(head, t)) {
${state.load('weights', 'head')}
}`;
    const write = state.add(
      (at) => `key(step, ${at})`,
      (at) => `vec4f(${[0, 1, 2, 3].map((i) => `written(steps, step, ${at} + ${i}u)`).join(', ')})`,
    );
    return `
${workgroupVectors(
  {
    ...{ q: row, k: row, input: row, du: d, dk: d, rates: 4, d_rates: 4 },
    ...{ write: column, d_difference: column, logits: column, difference: c, dw: c },
  },
  Math.max(gradient.columnSums, gradient.rowSums + state.rowSums),
)}
${blocks(d, o)}
${headResets(has('resets'))}
fn key(step: u32, i: u32) -> f32 {
  if (i < ${d}u) { return sequences[step * ${activations}u + ${d}u + i]; }
  return 0.0;
}
fn written(steps: u32, step: u32, i: u32) -> f32 {
  if (i >= ${c}u) { return 0.0; }
  let rate = sequences[step * ${activations}u + ${2 * d}u + block_of(i)];
  return rate * sequences[steps * ${activations}u + step * ${c}u + i];
}
${state.reader('weights', `weights[(base % parameters.heads_per_batch * ${d}u + row) * ${c}u + column]`)}
${state.reader('anchor', `anchors[${stateAt}]`)}
${gradient.reader('final', `results[${initialAt}]`)}
${gradient.writer('initial', `results[${initialAt}] = x[i]`)}
${gradient.writer('take', `results[${partAt}] = -x[i]`)}
${gradient.writer('give', `results[${partAt}] += x[i]`)}

${entryPoint(lanes)}
${ownHeadInSegments(long)}
  let own_notes = local_head * ${NOTES}u;
${state.declare()}
${gradient.declare()}
${gradient.load('final', 'head')}
${gradient.store('take', 'head')}
  for (var long_end = parameters.time; long_end > 0u;) {
    let long_first = (long_end - 1u) / ${long}u * ${long}u;
${state.load('anchor', `head * segments + long_first / ${long}u`)}
    for (var t = long_first; t < long_end; t++) {
      if ((t - long_first) % ${SHORT}u == 0u) {
${state.note('notes', `own_notes + ${SHORT}u + (t - long_first) / ${SHORT}u`)}
      }
${forward}
${write}
    }
    for (var short_end = long_end; short_end > long_first;) {
      let first = (short_end - 1u) / ${SHORT}u * ${SHORT}u;
${state.recall('notes', `own_notes + ${SHORT}u + (first - long_first) / ${SHORT}u`)}
      for (var t = first; t < short_end; t++) {
${forward}
${state.note('notes', 'own_notes + t - first')}
${write}
      }
      for (var t = short_end; t > first;) {
        t--;
        let step = head * parameters.time + t;
${state.recall('notes', 'own_notes + t - first')}
${shared(
  d,
  lanes,
  `q[i] = sequences[step * ${activations}u + i];
k[i] = sequences[step * ${activations}u + ${d}u + i];
input[i] = x[step * ${d}u + i];`,
)}
        if (lane < 4u) { rates[lane] = sequences[step * ${activations}u + ${2 * d}u + lane]; }
${shared(
  c,
  lanes,
  `difference[i] = sequences[steps * ${activations}u + step * ${c}u + i];
write[i] = written(steps, step, i);`,
)}
        workgroupBarrier();
${gradient.multiplyTransposed('k', 0)}
        workgroupBarrier();
${shared(
  c,
  lanes,
  `dw[i] = ${gradient.transposedProduct(0, 'i')};
d_difference[i] = rates[block_of(i)] * dw[i];`,
)}
        workgroupBarrier();
${gradient.multiply('write', 0)}
${state.multiply('d_difference', gradient.rowSums)}
        workgroupBarrier();
${shared(
  d,
  lanes,
  `du[i] = ${state.product(gradient.rowSums, 'i')};
dk[i] = ${gradient.product(0, 'i')} - du[i];`,
)}
        if (lane < 4u) {
          var sum = 0.0;
          for (var i = 0u; i < ${c}u; i++) {
            if (block_of(i) == lane) { sum = fma(dw[i], difference[i], sum); }
          }
          d_rates[lane] = sum;
        }
${gradient.add((at) => `(q[${at}] - k[${at}])`, vectorAt('d_difference'))}
        workgroupBarrier();
${dot('of_query', 'q', 'du', d)}
${dot('of_key', 'k', 'dk', d)}
${shared(
  d,
  lanes,
  `logits[${o}u + i] = q[i] * (du[i] - of_query);
logits[${o + d}u + i] = k[i] * (dk[i] - of_key);`,
)}
        if (lane < 4u) { logits[${o + 2 * d}u + lane] = rates[lane] * (1.0 - rates[lane]) * d_rates[lane]; }
${shared(o, lanes, `logits[i] = sequences[steps * ${activations + c}u + step * ${o}u + i];`)}
        workgroupBarrier();
${state.multiply('logits', 0)}
        workgroupBarrier();
${shared(d, lanes, `results[step * ${d}u + i] = ${state.product(0, 'i')};`)}
${gradient.add((at) => `input[${at}]`, vectorAt('logits'))}
        if (is_reset(head, t)) {
${gradient.store('give', 'head')}
${gradient.clear()}
        }
        workgroupBarrier();
      }
      short_end = first;
    }
    long_end = long_first;
  }
${gradient.store('initial', 'head')}
${gradient.store('give', 'head')}
}`;
  },
};
