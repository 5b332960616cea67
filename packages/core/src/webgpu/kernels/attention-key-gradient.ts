/**
 * The gradients of attention's keys and values, key by key over all queries that see it, with P and D as in
 * `attention-query-gradient.ts`:
 *
 *   dk_j = scale Σ_i P_ij (dy_i · v_j − D_i) q_i        dv_j = Σ_i P_ij dy_i
 *
 * An invocation has one key in registers; the two gradients run one after the other, because their registers would not fit.
 */

import type { WgslKernel } from '../program.ts';
import type { AttentionConstants } from './attention-forward.ts';
import { ATTENTION_PARAMETERS, ATTENTION_ROWS, attentionInputs, attentionRows, stagedRows } from './attention-rows.ts';
import { entryPoint, SUM_OF, unrolled, vectorAccess, vectorsOf, vectorType } from './wgsl.ts';

/** Constants of the kernel. */
export interface KeyGradientConstants extends AttentionConstants {
  /** Whose gradient `dx` is. */
  readonly of: 'keys' | 'values';
}

/** Workgroup: `ATTENTION_ROWS` keys of one head. */
export const attentionKeyGradient: WgslKernel = {
  name: 'attention_key_gradient',
  storage: (constants) => {
    const { dim, valueDim, of } = constants as KeyGradientConstants;
    return {
      ...attentionInputs(dim, valueDim),
      dy: `read ${vectorType(valueDim)}`,
      rows: 'read f32',
      dx: `write ${vectorType(of === 'keys' ? dim : valueDim)}`,
    };
  },
  parameters: ATTENTION_PARAMETERS,
  code: (constants, has) => {
    const { dim, valueDim, causal, of } = constants as KeyGradientConstants;
    const [vectors, valueVectors] = [vectorsOf(dim), vectorsOf(valueDim)];
    const block = stagedRows(dim, valueDim);
    const ofKeys = of === 'keys';
    const [own, ownVectors] = ofKeys ? ['k', vectors] : ['v', valueVectors];
    return `
var<workgroup> staged_queries: array<vec4f, ${block * vectors}>;
var<workgroup> staged_dy: array<vec4f, ${block * valueVectors}>;
var<workgroup> staged_rows: array<vec2f, ${block}>;
${['q', 'k'].map((name) => vectorAccess(name, dim)).join('')}
${has('v') ? vectorAccess('v', valueDim) : ''}
${vectorAccess('dy', valueDim)}
${vectorAccess('dx', ofKeys ? dim : valueDim, true)}
${SUM_OF}
${attentionRows(causal, has('key_mask'))}

${entryPoint(ATTENTION_ROWS)}
  let tiles = (parameters.keys + ${ATTENTION_ROWS - 1}u) / ${ATTENTION_ROWS}u;
  let pair = group_index(group, groups) / tiles;
  if (pair >= parameters.batch * parameters.heads) { return; }
  let batch = pair / parameters.heads;
  let first_key = (group_index(group, groups) % tiles) * ${ATTENTION_ROWS}u;
  let key = first_key + lane;
  let is_key = key < parameters.keys;
  // Queries that may see any of these keys.
  var begin = 0u;
  var end = parameters.queries;
  ${
    causal
      ? `begin = u32(max(0, i32(first_key + parameters.queries) - i32(parameters.keys)));
  let last_key = min(first_key + ${ATTENTION_ROWS}u, parameters.keys) - 1u;
  end = min(end, u32(max(0, i32(last_key + parameters.queries + parameters.window) - i32(parameters.keys))));`
      : ''
  }
${unrolled(vectors, (i) => `  var k${i} = vec4f();`)}
${unrolled(ofKeys ? valueVectors : 0, (i) => `  var v${i} = vec4f();`)}
${unrolled(ownVectors as number, (i) => `  var g${i} = vec4f();`)}
  if (is_key) {
${unrolled(vectors, (i) => `    k${i} = k_vector(k_row(pair, key), ${i}u) * parameters.scale;`)}
${unrolled(ofKeys ? valueVectors : 0, (i) => `    v${i} = v_vector(v_row(pair, key), ${i}u);`)}
  }
  for (var first = begin; first < end; first += ${block}u) {
    let count = min(${block}u, end - first);
    workgroupBarrier();
    for (var i = lane; i < count * ${vectors}u; i += ${ATTENTION_ROWS}u) {
      staged_queries[i] = q_vector(q_row(pair, first + i / ${vectors}u), i % ${vectors}u);
    }
    for (var i = lane; i < count * ${valueVectors}u; i += ${ATTENTION_ROWS}u) {
      staged_dy[i] = dy_vector(o_row(pair, first + i / ${valueVectors}u), i % ${valueVectors}u);
    }
    if (lane < count) {
      let at = 2u * (pair * parameters.queries + first + lane);
      staged_rows[lane] = vec2f(rows[at], rows[at + 1u]);
    }
    workgroupBarrier();
    for (var i = 0u; is_key && i < count; i++) {
      if (sees(batch, first + i, key)) {
        var score = vec4f();
${unrolled(vectors, (n) => `        score = fma(k${n}, staged_queries[i * ${vectors}u + ${n}u], score);`)}
        let weight = exp(sum_of(score) - staged_rows[i].x);
        ${
          ofKeys
            ? `var product = vec4f();
${unrolled(valueVectors, (n) => `        product = fma(v${n}, staged_dy[i * ${valueVectors}u + ${n}u], product);`)}
        let slope = parameters.scale * weight * (sum_of(product) - staged_rows[i].y);
${unrolled(vectors, (n) => `        g${n} = fma(vec4f(slope), staged_queries[i * ${vectors}u + ${n}u], g${n});`)}`
            : unrolled(
                valueVectors,
                (n) => `        g${n} = fma(vec4f(weight), staged_dy[i * ${valueVectors}u + ${n}u], g${n});`,
              )
        }
      }
    }
  }
  if (is_key) {
${unrolled(ownVectors as number, (n) => `    set_dx_vector(${own}_row(pair, key), ${n}u, g${n});`)}
  }
}`;
  },
};
