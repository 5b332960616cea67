/**
 * The gradient of the recurrent half of Delta RNN and Delta LSTM (`delta-rnn.ts`), all steps of a head in one workgroup, from the
 * last to the first. With dh the gradient of h_t, which step t + 1 adds to, and dp that of a gate's p, for each gate with its G, the
 * gradient of R_t,
 *
 *   G += dp s_{t-1}ᵀ   a = G k   dβ = a · e   dv = β a   dk = Gᵀ w − R_{t-1}ᵀ dv   G −= dv kᵀ
 *   ds_{t-1} = Σ_g R_tᵀ dp = Σ_g R_{t-1}ᵀ dp + k (w · dp)      dh_{t-1} += s ∘ (ds − s · ds)
 *
 * G and Rᵀ stay in registers. `boundaries` has R before every segment of steps, from which it is made again as the forward made it,
 * and noted before each step of the segment; it never goes backwards.
 *
 * `sequences` holds k, e and s_{t-1}, with three gates (i, u, o) and c, and then dh, of all heads and steps, one after the other; `gates`
 * (β, 1, reset, 0) of all gates. `results` gets the gradients of z, k, v, β, R_0, s_0 and c_0, and comes with those of the last R and c in
 * the places of the first. `notes` and `boundaries` are of the `heads` that run, from `first_head` on.
 */

import type { WgslKernel } from '../program.ts';
import type { DeltaRnnConstants } from './delta-rnn.ts';
import { RECURRENT_SEGMENT } from './recurrent-delta-gradient.ts';
import { dot, elementOf, lanesFor, RegisterMatrix, shared, vectorAt, workgroupVectors } from './register-matrix.ts';
import { ownHeadInSegments } from './scan-heads.ts';
import { entryPoint, unrolled } from './wgsl.ts';

/** Elements of `notes` for each head. */
export function deltaRnnNotes(n: number, gates: number): number {
  return RECURRENT_SEGMENT * gates * new RegisterMatrix('state', n, n, lanesFor(n, n)).noteSize;
}

/** Workgroup: one head. */
export const deltaRnnGradient: WgslKernel = {
  name: 'delta_rnn_gradient',
  storage: () => ({
    sequences: 'read f32',
    gates: 'read f32',
    initial_cell: 'read f32',
    boundaries: 'read f32',
    notes: 'write vec4f',
    results: 'write f32',
  }),
  parameters: { first_head: 'u32', heads: 'u32', all_heads: 'u32', time: 'u32' },
  code: (constants, has) => {
    const { dim: n, gates, version } = constants as DeltaRnnConstants;
    const lanes = lanesFor(n, n);
    const all = (name: string, products?: 'both') =>
      Array.from({ length: gates }, (_, gate) => new RegisterMatrix(`${name}_${gate}`, n, n, lanes, products));
    const [states, gradients] = [all('state'), all('gradient', 'both')];
    const [state, gradient] = [states[0], gradients[0]] as [RegisterMatrix, RegisterMatrix];
    const padded = Math.max(state.paddedRows, state.paddedColumns, gradient.paddedRows, gradient.paddedColumns);
    // Partial sums of the first two products, and of the second two.
    const [ofRead, ofErased, ofWritten] = [gradient.rowSums, 0, state.rowSums];
    const vectors: Record<string, number> = { query: padded, key: padded, write: padded, a: padded };
    Object.assign(vectors, { error: n, d_query: n, d_cell: n });
    for (let gate = 0; gate < gates; gate++) vectors[`dp_${gate}`] = padded;
    const inner = version === 0 ? 'steps' : '2u * steps + rows';
    const dOutput = `(2u * rows + ${inner} + step) * ${n}u + i`;
    const gradientAt = `parameters.all_heads * parameters.time * ${gates * (3 * n + 1)}u + (base * ${n}u + row) * ${n}u + column`;
    const segment = RECURRENT_SEGMENT;
    const lastOf = `rows * ${3 * n + 1}u + parameters.all_heads * ${gates * n * n}u`;
    const cell = `
let activations = (2u * rows + steps) * ${n}u + i;
let open = sequences[activations + row_0 * ${n}u];
let update = sequences[activations + row_1 * ${n}u];
let outward = sequences[activations + row_2 * ${n}u];
let cells = activations + rows * ${n}u;
var before = 0.0;
if (gates[4u * row_0 + 2u] == 0.0) {
  if (t > 0u) { before = sequences[cells + (step - 1u) * ${n}u]; }
  ${has('initial_cell') ? `else { before = initial_cell[head * ${n}u + i]; }` : ''}
}
let dc = fma(dh, outward, d_cell[i]);
dp_0[i] = dc * (update - before) * open * (1.0 - open);
dp_1[i] = dc * open${version === 4 ? '' : ' * update * (1.0 - update)'};
dp_2[i] = dh * sequences[cells + step * ${n}u] * outward * (1.0 - outward);
d_cell[i] = dc * (1.0 - open);`;
    return `
${workgroupVectors(vectors, Math.max(gradient.rowSums + state.rowSums, state.rowSums + gradient.columnSums))}
${states.map((of) => of.reader('boundary', `boundaries[(base * ${n}u + column) * ${n}u + row]`)).join('\n')}
${gradients.map((of) => of.reader('final', `results[${gradientAt}]`) + of.writer('initial', `results[${gradientAt}] = x[i]`)).join('\n')}

${entryPoint(lanes)}
${ownHeadInSegments(segment)}
  let rows = ${gates}u * steps;
${[...states, ...gradients].map((of) => of.declare()).join('\n')}
${gradients.map((of, gate) => of.load('final', `head * ${gates}u + ${gate}u`)).join('\n')}
${shared(n, lanes, `d_cell[i] = results[${lastOf} + (parameters.all_heads + head) * ${n}u + i];`)}
  for (var t_end = parameters.time; t_end > 0u;) {
    let first = (t_end - 1u) / ${segment}u * ${segment}u;
${states.map((of, gate) => of.load('boundary', `(local_head * ${gates}u + ${gate}u) * segments + first / ${segment}u`)).join('\n')}
    for (var t = first; t < t_end; t++) {
${unrolled(gates, (gate) => `      let row_${gate} = (head * ${gates}u + ${gate}u) * parameters.time + t;`)}
      if (gates[4u * row_0 + 2u] != 0.0) {
${states.map((of) => of.clear()).join('\n')}
      }
${states.map((of, gate) => of.note('notes', `(local_head * ${segment}u + t - first) * ${gates}u + ${gate}u`)).join('\n')}
${states
  .map(
    (of, gate) => `{
let beta = gates[4u * row_${gate}];
${of.add(
  (row) => `element(row_${gate} * ${n}u, ${row})`,
  (column) => `beta * elements((rows + row_${gate}) * ${n}u, ${column})`,
)}
}`,
  )
  .join('\n')}
    }
    for (var t = t_end; t > first;) {
      t--;
      let step = head * parameters.time + t;
${unrolled(gates, (gate) => `      let row_${gate} = (head * ${gates}u + ${gate}u) * parameters.time + t;`)}
${states.map((of, gate) => of.recall('notes', `(local_head * ${segment}u + t - first) * ${gates}u + ${gate}u`)).join('\n')}
      // s of this step is that of which the step after gave the gradient.
      let is_last = t + 1u == parameters.time;
      var is_cut = false;
      if (!is_last) { is_cut = gates[4u * row_0 + 6u] != 0.0; }
      if (is_cut) {
${gradients.map((of) => of.clear()).join('\n')}
${shared(n, lanes, 'd_cell[i] = 0.0;')}
      }
${dot('of_query', 'query', 'd_query', n)}
${shared(
  n,
  lanes,
  `var dh = sequences[${dOutput}];
if (!is_last && !is_cut) { dh = fma(query[i], d_query[i] - of_query, dh); }
${version === 0 ? 'dp_0[i] = dh;' : cell}
${unrolled(gates, (gate) => `results[row_${gate} * ${n}u + i] = dp_${gate}[i]${version === 3 && gate === 1 ? ' + dh' : ''};`)}`,
)}
      workgroupBarrier();
${shared(n, lanes, `query[i] = sequences[(2u * rows + step) * ${n}u + i];\nd_query[i] = 0.0;`)}
${unrolled(
  gates,
  (gate) => `      {
let beta = gates[4u * row_${gate}];
${shared(
  n,
  lanes,
  `key[i] = sequences[row_${gate} * ${n}u + i];
error[i] = sequences[(rows + row_${gate}) * ${n}u + i];
write[i] = beta * error[i];`,
)}
workgroupBarrier();
${gradients[gate]?.add(elementOf(`dp_${gate}`), vectorAt('query'))}
${gradients[gate]?.multiply('key', 0)}
${states[gate]?.multiply(`dp_${gate}`, ofRead)}
workgroupBarrier();
${dot('written', 'write', `dp_${gate}`, n)}
${shared(
  n,
  lanes,
  `a[i] = ${gradient.product(0, 'i')};
results[(2u * rows + row_${gate}) * ${n}u + i] = beta * a[i];
d_query[i] += fma(key[i], written, ${state.product(ofRead, 'i')});`,
)}
workgroupBarrier();
${states[gate]?.multiply('a', ofErased)}
${gradients[gate]?.multiplyTransposed('write', ofWritten)}
workgroupBarrier();
${shared(
  n,
  lanes,
  `results[(rows + row_${gate}) * ${n}u + i] = fma(-beta, ${state.product(ofErased, 'i')}, ${gradient.transposedProduct(ofWritten, 'i')});`,
)}
if (lane == 0u) {
${dot('d_beta', 'a', 'error', n)}
  results[rows * ${3 * n}u + row_${gate}] = d_beta;
}
${gradients[gate]?.add((row) => `-beta * a[${row}]`, vectorAt('key'))}
workgroupBarrier();
}`,
)}
    }
    t_end = first;
  }
  let is_cut = gates[4u * head * ${gates}u * parameters.time + 2u] != 0.0;
  if (is_cut) {
${gradients.map((of) => of.clear()).join('\n')}
  }
${gradients.map((of, gate) => of.store('initial', `head * ${gates}u + ${gate}u`)).join('\n')}
${shared(
  n,
  lanes,
  `let last = ${lastOf} + head * ${n}u + i;
results[last] = select(d_query[i], 0.0, is_cut);
results[last + parameters.all_heads * ${n}u] = select(d_cell[i], 0.0, is_cut);`,
)}
}

/** Element i of a row that begins at \`base\`, and four from there on; zeros beyond it. */
fn element(base: u32, i: u32) -> f32 {
  if (i < ${n}u) { return sequences[base + i]; }
  return 0.0;
}
fn elements(base: u32, i: u32) -> vec4f {
  return vec4f(element(base, i), element(base, i + 1u), element(base, i + 2u), element(base, i + 3u));
}`;
  },
};
