/**
 * The gradient of attention's queries (Dao et al. 2022, "FlashAttention", algorithm 4), query by query over all keys that it
 * sees, with P_ij = exp(scale q_i · k_j − L_i) and D_i = dy_i · output_i:
 *
 *   dq_i = scale Σ_j P_ij (dy_i · v_j − D_i) k_j
 *
 * Organised as `attention-forward.ts`: an invocation has one query, what came back to it, and its gradient in registers.
 */

import type { WgslKernel } from '../program.ts';
import type { AttentionConstants } from './attention-forward.ts';
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

/** Workgroup: `ATTENTION_ROWS` queries of one head. */
export const attentionQueryGradient: WgslKernel = {
  name: 'attention_query_gradient',
  storage: (constants) => {
    const { dim, valueDim } = constants as AttentionConstants;
    return {
      ...attentionInputs(dim, valueDim),
      dy: `read ${vectorType(valueDim)}`,
      rows: 'read f32',
      dq: `write ${vectorType(dim)}`,
    };
  },
  parameters: ATTENTION_PARAMETERS,
  code: (constants, has) => {
    const { dim, valueDim, causal } = constants as AttentionConstants;
    const [vectors, valueVectors] = [vectorsOf(dim), vectorsOf(valueDim)];
    const block = stagedRows(dim, valueDim);
    return `${stagedDeclarations(dim, valueDim)}
${vectorAccess('dy', valueDim)}
${vectorAccess('dq', dim, true)}
${SUM_OF}
${attentionRows(causal, has('key_mask'))}

${entryPoint(ATTENTION_ROWS)}
${ownQuery(causal)}
  let own = q_row(pair, query);
${unrolled(vectors, (i) => `  var q${i} = vec4f();\n  var g${i} = vec4f();`)}
${unrolled(valueVectors, (i) => `  var dy${i} = vec4f();`)}
  var row = vec2f();
  if (is_query) {
    let at = pair * parameters.queries + query;
    row = vec2f(rows[2u * at], rows[2u * at + 1u]);
${unrolled(vectors, (i) => `    q${i} = q_vector(own, ${i}u) * parameters.scale;`)}
${unrolled(valueVectors, (i) => `    dy${i} = dy_vector(o_row(pair, query), ${i}u);`)}
  }
  for (var first = begin; first < end; first += ${block}u) {
    let count = min(${block}u, end - first);
${stagedKeys(vectors, valueVectors)}
    for (var j = 0u; is_query && j < count; j++) {
      if (sees(batch, query, first + j)) {
        var score = vec4f();
        var product = vec4f();
${unrolled(vectors, (i) => `        score = fma(q${i}, keys[j * ${vectors}u + ${i}u], score);`)}
${unrolled(valueVectors, (i) => `        product = fma(dy${i}, values[j * ${valueVectors}u + ${i}u], product);`)}
        let slope = parameters.scale * exp(sum_of(score) - row.x) * (sum_of(product) - row.y);
${unrolled(vectors, (i) => `        g${i} = fma(vec4f(slope), keys[j * ${vectors}u + ${i}u], g${i});`)}
      }
    }
  }
  if (is_query) {
${unrolled(vectors, (i) => `    set_dq_vector(own, ${i}u, g${i});`)}
  }
}`;
  },
};
