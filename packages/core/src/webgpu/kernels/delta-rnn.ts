/**
 * The recurrent half of the Delta RNN, with one gate, and of the Delta LSTM, with three (Irie, Schlag, Csordás and Schmidhuber
 * 2021, sections 3.1 and 3.3), all steps of a head in one workgroup. For each gate, with s_t = softmax(h_t),
 *
 *   e_t = v_t − R_{t-1} k_t   w_t = β_t e_t   R_t = R_{t-1} + w_t k_tᵀ   p_t = z_t + R_t s_{t-1} = z_t + R_{t-1} s_{t-1} + w_t (k_t · s_{t-1})
 *
 * With one gate h = p. With the gates i, u, o, and f the identity in version 4, else σ,
 *
 *   i = σ(p_i)    u = f(p_u)    o = σ(p_o)    c_t = i u + (1 − i) c_{t-1}    h_t = o c_t (+ z_u in version 3)
 *
 *   z, k, v, e [heads, gates, time, dim]   β [heads, gates, time]   R [heads, gates, dim, dim]   h, s, c [heads, time, dim]
 *
 * R stays in registers. `sequences` holds z, k, v and β of all heads and steps, one after the other; `kept` gets what the
 * gradient needs, e and s_{t-1}, and with three gates (i, u, o) and c; `finals` the last R and c.
 */

import type { Constants, WgslKernel } from '../program.ts';
import {
  dot,
  elementOf,
  lanesFor,
  RegisterMatrix,
  shared,
  softmaxes,
  vectorAt,
  workgroupVectors,
} from './register-matrix.ts';
import { headResets } from './scan-heads.ts';
import { entryPoint, unrolled } from './wgsl.ts';

/** Largest heads: vectors and partial sums are in workgroup memory, matrices in registers. */
export const MAX_DELTA_RNN_DIM = 64;

/** Constants of the kernel and of its gradient. */
export interface DeltaRnnConstants extends Constants {
  readonly dim: number;
  /** 1 or 3. */
  readonly gates: number;
  /** 0 for the Delta RNN, else that of the Delta LSTM. */
  readonly version: number;
}

/** Workgroup: one head. */
export const deltaRnn: WgslKernel = {
  name: 'delta_rnn',
  storage: () => ({
    sequences: 'read f32',
    initial_state: 'read f32',
    initial_query: 'read f32',
    initial_cell: 'read f32',
    resets: 'read i32',
    kept: 'write f32',
    output: 'write f32',
    finals: 'write f32',
  }),
  parameters: { heads: 'u32', heads_per_batch: 'u32', time: 'u32', start: 'f32' },
  code: (constants, has) => {
    const { dim: n, gates, version } = constants as DeltaRnnConstants;
    const lanes = lanesFor(n, n);
    const matrices = Array.from({ length: gates }, (_, gate) => new RegisterMatrix(`state_${gate}`, n, n, lanes));
    const matrix = (gate: number) => matrices[gate] as RegisterMatrix;
    const padded = Math.max(matrix(0).paddedRows, matrix(0).paddedColumns);
    const sums = matrix(0).rowSums;
    // Partial sums of R k and R s of each gate.
    const [ofKey, ofQuery] = [(gate: number) => 2 * gate * sums, (gate: number) => (2 * gate + 1) * sums];
    const vectors: Record<string, number> = { query: padded, hidden: n, exponentials: n, cell: n };
    for (let gate = 0; gate < gates; gate++)
      Object.assign(vectors, { [`key_${gate}`]: padded, [`write_${gate}`]: padded });
    const stateAt = `(base * ${n}u + row) * ${n}u + column`;
    const cell = `
let open = sigmoid(p_0);
let update = ${version === 4 ? 'p_1' : 'sigmoid(p_1)'};
let outward = sigmoid(p_2);
let c = fma(open, update, (1.0 - open) * cell[i]);
cell[i] = c;
let h = ${version === 3 ? `fma(outward, c, sequences[row_1 * ${n}u + i])` : 'outward * c'};
${
  has('kept')
    ? `let activations = rows * ${n}u + steps * ${n}u + i;
kept[activations + row_0 * ${n}u] = open;
kept[activations + row_1 * ${n}u] = update;
kept[activations + row_2 * ${n}u] = outward;
kept[activations + rows * ${n}u + step * ${n}u] = c;`
    : ''
}`;
    return `
${workgroupVectors(vectors, 2 * gates * sums)}
${matrices.map((of) => (has('initial_state') ? of.reader('initial', `initial_state[${stateAt}]`) : '')).join('\n')}
${matrices.map((of) => of.writer('final', `finals[${stateAt}] = x[i]`)).join('\n')}

${entryPoint(lanes)}
  let head = group_index(group, groups);
  if (head >= parameters.heads) { return; }
  let steps = parameters.heads * parameters.time;
  let rows = ${gates}u * steps;
${matrices.map((of) => of.declare()).join('\n')}
${matrices.map((of, gate) => (has('initial_state') ? of.load('initial', `head * ${gates}u + ${gate}u`) : '')).join('\n')}
${shared(
  n,
  lanes,
  `query[i] = initial_query[head * ${n}u + i];
${has('initial_cell') ? `cell[i] = initial_cell[head * ${n}u + i];` : ''}`,
)}
  for (var t = 0u; t < parameters.time; t++) {
    let step = head * parameters.time + t;
${unrolled(gates, (gate) => `    let row_${gate} = (head * ${gates}u + ${gate}u) * parameters.time + t;`)}
    if (is_reset(head, t)) {
${matrices.map((of) => of.clear()).join('\n')}
${shared(n, lanes, 'query[i] = parameters.start;\ncell[i] = 0.0;')}
    }
${shared(
  n,
  lanes,
  `${unrolled(gates, (gate) => `key_${gate}[i] = sequences[(rows + row_${gate}) * ${n}u + i];`)}
${has('kept') ? `kept[rows * ${n}u + step * ${n}u + i] = query[i];` : ''}`,
)}
    workgroupBarrier();
${unrolled(gates, (gate) => `${matrix(gate).multiply(`key_${gate}`, ofKey(gate))}\n${matrix(gate).multiply('query', ofQuery(gate))}`)}
    workgroupBarrier();
${unrolled(gates, (gate) => dot(`similarity_${gate}`, `key_${gate}`, 'query', n))}
${shared(
  n,
  lanes,
  `${unrolled(
    gates,
    (
      gate,
    ) => `let error_${gate} = sequences[(2u * rows + row_${gate}) * ${n}u + i] - ${matrix(gate).product(ofKey(gate), 'i')};
let written_${gate} = sequences[3u * rows * ${n}u + row_${gate}] * error_${gate};
write_${gate}[i] = written_${gate};
${has('kept') ? `kept[row_${gate} * ${n}u + i] = error_${gate};` : ''}
let p_${gate} = fma(written_${gate}, similarity_${gate}, sequences[row_${gate} * ${n}u + i] + ${matrix(gate).product(ofQuery(gate), 'i')});`,
  )}
${version === 0 ? 'let h = p_0;' : cell}
output[step * ${n}u + i] = h;
hidden[i] = h;`,
)}
    workgroupBarrier();
${matrices.map((of, gate) => of.add(elementOf(`write_${gate}`), vectorAt(`key_${gate}`))).join('\n')}
${softmaxes(['hidden'], ['exponentials'], n, lanes)}
${shared(n, lanes, 'query[i] = hidden[i];')}
  }
${matrices.map((of, gate) => of.store('final', `head * ${gates}u + ${gate}u`)).join('\n')}
${shared(n, lanes, `finals[parameters.heads * ${gates * n * n}u + head * ${n}u + i] = cell[i];`)}
}
${headResets(has('resets'))}`;
  },
};
