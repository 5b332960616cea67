/**
 * Steps of an LSTM (Hochreiter and Schmidhuber 1997; forget gates: Gers et al. 2000), for four batch rows and some units:
 *
 *   z_t = (x_t W + bias) + h_{t-1} R, cut into four: i, f, g, o
 *   i, f, o = σ(·)      g = tanh(·)      c_t = f ∘ c_{t-1} + i ∘ g      h_t = o ∘ tanh(c_t)
 *
 *   sums = x W + bias, gates = (i, f, g, o) [batch, steps, 4 · hidden]   R [hidden, 4 · hidden]   c, h [batch, steps, hidden]
 *
 * An invocation has a unit: its columns of R are read once for four rows, whose h_{t-1} come through workgroup memory. Where the
 * workgroup has all units, it goes through all steps at once; where units are divided among workgroups (`unit_tiles`), each of which
 * needs the h_{t-1} of all, a dispatch is one step. `initial` holds h_0 and c_0, `finals` gets the last h and c, [2, batch, hidden].
 */

import type { WgslKernel } from '../program.ts';
import { ACTIVATIONS, entryPoint, unrolled } from './wgsl.ts';

/** Batch rows of a workgroup. */
export const LSTM_ROWS = 4;
/** Units whose h_{t-1}, or gradients of gates, are in workgroup memory at a time. */
export const LSTM_CHUNK = 128;

/** Parameters of this kernel and of the gradient; steps run from `begin` up to `end`. */
export const LSTM_PARAMETERS: WgslKernel['parameters'] = {
  ...{ batch: 'u32', steps: 'u32', hidden: 'u32' },
  ...{ begin: 'u32', end: 'u32', unit_tiles: 'u32' },
};

/** Which rows and which unit an invocation has; units beyond the last help to load what the others read. */
export function ownUnit(lanes: number): string {
  return `  let index = group_index(group, groups);
  let row = index / parameters.unit_tiles * ${LSTM_ROWS}u;
  if (row >= parameters.batch) { return; }
  let hidden = parameters.hidden;
  let unit = index % parameters.unit_tiles * ${lanes}u + lane;`;
}

/** `fn is_reset(row, t) -> bool` of the mask `resets` [batch, steps], if it is given. */
export function isReset(given: boolean): string {
  return `
fn is_reset(row: u32, t: u32) -> bool {
  return ${given ? 'resets[row * parameters.steps + t] != 0' : 'false'};
}`;
}

/** Workgroup: {@link LSTM_ROWS} batch rows and as many units as it has `lanes`. */
export const lstm: WgslKernel = {
  name: 'lstm',
  storage: () => ({
    ...{ sums: 'read f32', weight: 'read f32', initial: 'read f32', resets: 'read i32' },
    ...{ gates: 'write f32', cells: 'write f32', output: 'write f32', finals: 'write f32' },
  }),
  parameters: LSTM_PARAMETERS,
  code: ({ lanes }, has) => `
${ACTIVATIONS}
var<workgroup> before: array<vec4f, ${LSTM_CHUNK}>;
${isReset(has('resets'))}

fn hidden_before(row: u32, t: u32, unit: u32) -> f32 {
  if (row >= parameters.batch || is_reset(row, t)) { return 0.0; }
  if (t == 0u) { return initial[row * parameters.hidden + unit]; }
  return output[(row * parameters.steps + t - 1u) * parameters.hidden + unit];
}

fn cell_before(row: u32, t: u32, unit: u32) -> f32 {
  if (is_reset(row, t)) { return 0.0; }
  if (t == 0u) { return initial[(parameters.batch + row) * parameters.hidden + unit]; }
  return cells[(row * parameters.steps + t - 1u) * parameters.hidden + unit];
}

/** The step of one row's unit, from its part of h R. */
fn finish(row: u32, t: u32, unit: u32, recurrent: vec4f) {
  if (row >= parameters.batch) { return; }
  let hidden = parameters.hidden;
  let step = row * parameters.steps + t;
  let at = step * 4u * hidden + unit;
  let i = sigmoid(recurrent.x + sums[at]);
  let f = sigmoid(recurrent.y + sums[at + hidden]);
  let g = tanh_of(recurrent.z + sums[at + 2u * hidden]);
  let o = sigmoid(recurrent.w + sums[at + 3u * hidden]);
  let c = fma(f, cell_before(row, t, unit), i * g);
  let h = o * tanh_of(c);
  gates[at] = i;
  gates[at + hidden] = f;
  gates[at + 2u * hidden] = g;
  gates[at + 3u * hidden] = o;
  cells[step * hidden + unit] = c;
  output[step * hidden + unit] = h;
  if (t + 1u == parameters.steps) {
    finals[row * hidden + unit] = h;
    finals[(parameters.batch + row) * hidden + unit] = c;
  }
}

${entryPoint(lanes as number)}
${ownUnit(lanes as number)}
  for (var t = parameters.begin; t < parameters.end; t++) {
    // What R adds to the four gates, of four rows each.
${unrolled(4, (gate) => `    var sum_${gate} = vec4f();`)}
    for (var first = 0u; first < hidden; first += ${LSTM_CHUNK}u) {
      let count = min(${LSTM_CHUNK}u, hidden - first);
      workgroupBarrier();
      for (var i = lane; i < count; i += ${lanes}u) {
        before[i] = vec4f(${[0, 1, 2, 3].map((r) => `hidden_before(row + ${r}u, t, first + i)`).join(', ')});
      }
      workgroupBarrier();
      for (var i = 0u; i < count && unit < hidden; i++) {
        let h = before[i];
        let at = (first + i) * 4u * hidden + unit;
${unrolled(4, (gate) => `        sum_${gate} = fma(vec4f(weight[at + ${gate}u * hidden]), h, sum_${gate});`)}
      }
    }
    if (unit < hidden) {
${unrolled(LSTM_ROWS, (r) => `      finish(row + ${r}u, t, unit, vec4f(${[0, 1, 2, 3].map((gate) => `sum_${gate}[${r}]`).join(', ')}));`)}
    }
    // The next step reads what other invocations wrote.
    storageBarrier();
  }
}`,
};
