/**
 * Scaled dot-product attention without a tensor [queries, keys] (Vaswani et al. 2017, equation 1; softmax by blocks as Milakov and
 * Gimelshein 2018, "Online normalizer calculation for softmax"): with scores s_ij = scale q_i · k_j of the keys that query i sees,
 *
 *   m ← max(m, max_j s_ij)      l ← l e^{m_old − m} + Σ_j e^{s_ij − m}      o ← o e^{m_old − m} + Σ_j e^{s_ij − m} v_j
 *
 * over blocks of keys; then output_i = o / l and L_i = m + ln l, and zeros for a query that sees nothing.
 *
 *   q [batch, heads, queries, dim]   k, v [batch, heads, keys, …]   L [batch, heads, queries]
 *
 * An invocation has one query and its output in registers; a workgroup reads each block of keys and values once for all.
 */

import type { Constants, WgslKernel } from '../program.ts';
import {
  ATTENTION_PARAMETERS,
  ATTENTION_ROWS,
  attentionInputs,
  attentionRows,
  ownQuery,
  stagedDeclarations,
  stagedKeys,
  stagedRows,
} from './attention-rows.ts';
import { entryPoint, SUM_OF, unrolled, vectorAccess, vectorsOf, vectorType } from './wgsl.ts';

/** Constants of the attention kernels. */
export interface AttentionConstants extends Constants {
  readonly dim: number;
  readonly valueDim: number;
  readonly causal: boolean;
}

/** Workgroup: {@link ATTENTION_ROWS} queries of one head. */
export const attentionForward: WgslKernel = {
  name: 'attention_forward',
  storage: (constants) => {
    const { dim, valueDim } = constants as AttentionConstants;
    return {
      ...attentionInputs(dim, valueDim),
      o: `write ${vectorType(valueDim)}`,
      log_sum: 'write f32',
    };
  },
  parameters: ATTENTION_PARAMETERS,
  code: (constants, has) => {
    const { dim, valueDim, causal } = constants as AttentionConstants;
    const [vectors, valueVectors] = [vectorsOf(dim), vectorsOf(valueDim)];
    const block = stagedRows(dim, valueDim);
    return `${stagedDeclarations(dim, valueDim)}
${vectorAccess('o', valueDim, true)}
${SUM_OF}
${attentionRows(causal, has('key_mask'))}

${entryPoint(ATTENTION_ROWS)}
${ownQuery(causal)}
  let own = q_row(pair, query);
${unrolled(vectors, (i) => `  var q${i} = vec4f();`)}
  if (is_query) {
${unrolled(vectors, (i) => `    q${i} = q_vector(own, ${i}u) * parameters.scale;`)}
  }
${unrolled(valueVectors, (i) => `  var o${i} = vec4f();`)}
  var highest = -3.0e38;
  var sum = 0.0;
  for (var first = begin; first < end; first += ${block}u) {
    let count = min(${block}u, end - first);
${stagedKeys(vectors, valueVectors)}
    if (is_query) {
      var scores: array<f32, ${block}>;
      var top = highest;
      for (var j = 0u; j < count; j++) {
        if (sees(batch, query, first + j)) {
          var product = vec4f();
${unrolled(vectors, (i) => `          product = fma(q${i}, keys[j * ${vectors}u + ${i}u], product);`)}
          scores[j] = sum_of(product);
          top = max(top, scores[j]);
        }
      }
      let shrink = exp(highest - top);
      highest = top;
      sum *= shrink;
${unrolled(valueVectors, (i) => `      o${i} *= shrink;`)}
      for (var j = 0u; j < count; j++) {
        if (sees(batch, query, first + j)) {
          let weight = exp(scores[j] - highest);
          sum += weight;
${unrolled(valueVectors, (i) => `          o${i} = fma(vec4f(weight), values[j * ${valueVectors}u + ${i}u], o${i});`)}
        }
      }
    }
  }
  if (is_query) {
    let normalizer = select(0.0, 1.0 / sum, sum > 0.0);
    let to = o_row(pair, query);
${unrolled(valueVectors, (i) => `    set_o_vector(to, ${i}u, o${i} * normalizer);`)}
    log_sum[pair * parameters.queries + query] = highest + log(max(sum, 1.0e-38));
  }
}`;
  },
};
