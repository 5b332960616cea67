/**
 * What the attention kernels share: which row of a tensor belongs to a head and a place in time, in every layout, and which keys
 * a query sees.
 */

import type { WgslKernel } from '../program.ts';
import { vectorAccess, vectorsOf, vectorType } from './wgsl.ts';

/** Rows of a workgroup: an invocation has one query, or one key. */
export const ATTENTION_ROWS = 32;
/** Longest rows: they are in registers, two or three at a time. */
export const MAX_GPU_ATTENTION_DIM = 128;
/** Vectors in workgroup memory: 8 KiB. */
const STAGED_VECTORS = 512;
const MOST_STAGED_ROWS = 16;

/** Rows that are in workgroup memory at once, of two tensors. */
export function stagedRows(dim: number, valueDim: number): number {
  const vectors = vectorsOf(dim) + vectorsOf(valueDim);
  return Math.max(1, Math.min(MOST_STAGED_ROWS, Math.floor(STAGED_VECTORS / vectors)));
}

/** Tensors that the kernels of queries and of keys read. */
export function attentionInputs(dim: number, valueDim: number): ReturnType<WgslKernel['storage']> {
  return {
    q: `read ${vectorType(dim)}`,
    k: `read ${vectorType(dim)}`,
    v: `read ${vectorType(valueDim)}`,
    key_mask: 'read i32',
  };
}

/** Parameters of all kernels: sizes, and of each tensor where rows start and how many a batch, a head and a step are apart. */
export const ATTENTION_PARAMETERS: WgslKernel['parameters'] = {
  ...{ batch: 'u32', heads: 'u32', queries: 'u32', keys: 'u32', window: 'u32', scale: 'f32' },
  ...{ q_start: 'u32', q_batch: 'u32', q_head: 'u32', q_time: 'u32' },
  ...{ k_start: 'u32', k_batch: 'u32', k_head: 'u32', k_time: 'u32' },
  ...{ v_start: 'u32', v_batch: 'u32', v_head: 'u32', v_time: 'u32' },
  ...{ o_start: 'u32', o_batch: 'u32', o_head: 'u32', o_time: 'u32' },
};

/** `fn q_row(pair, time)` and so on, and `fn sees(batch, query, key) -> bool`. */
export function attentionRows(causal: boolean, hasKeyMask: boolean): string {
  const rows = ['q', 'k', 'v', 'o'].map(
    (name) => `
fn ${name}_row(pair: u32, time: u32) -> u32 {
  return parameters.${name}_start + (pair / parameters.heads) * parameters.${name}_batch
    + (pair % parameters.heads) * parameters.${name}_head + time * parameters.${name}_time;
}`,
  );
  return `${rows.join('')}

fn sees(batch: u32, query: u32, key: u32) -> bool {
  ${
    causal
      ? `let last = query + parameters.keys;
  if (key + parameters.queries > last || key + parameters.queries + parameters.window <= last) { return false; }`
      : ''
  }
  ${hasKeyMask ? 'if (key < parameters.keys) { return key_mask[batch * parameters.keys + key] != 0; }' : ''}
  return key < parameters.keys;
}`;
}

/** Beginning of a kernel whose invocations have a query each: `query` of `pair`, and from `begin` to `end` what its workgroup may see. */
export function ownQuery(causal: boolean): string {
  return `  let tiles = (parameters.queries + ${ATTENTION_ROWS - 1}u) / ${ATTENTION_ROWS}u;
  let pair = group_index(group, groups) / tiles;
  if (pair >= parameters.batch * parameters.heads) { return; }
  let batch = pair / parameters.heads;
  let first_query = (group_index(group, groups) % tiles) * ${ATTENTION_ROWS}u;
  let query = first_query + lane;
  let is_query = query < parameters.queries;
  // Keys that any of these queries may see.
  var begin = 0u;
  var end = parameters.keys;
  ${
    causal
      ? `let last_query = min(first_query + ${ATTENTION_ROWS}u, parameters.queries) - 1u;
  end = min(end, u32(max(0, i32(last_query + parameters.keys) - i32(parameters.queries) + 1)));
  begin = u32(max(0, i32(first_query + parameters.keys) - i32(parameters.queries) - i32(parameters.window) + 1));`
      : ''
  }`;
}

/** Workgroup memory for keys and values of {@link stagedRows} rows, and how vectors of queries, keys and values are read. */
export function stagedDeclarations(dim: number, valueDim: number): string {
  const rows = stagedRows(dim, valueDim);
  return `
var<workgroup> keys: array<vec4f, ${rows * vectorsOf(dim)}>;
var<workgroup> values: array<vec4f, ${rows * vectorsOf(valueDim)}>;
${['q', 'k'].map((name) => vectorAccess(name, dim)).join('')}
${vectorAccess('v', valueDim)}`;
}

/** Reads `count` keys and values, from `first` on, into workgroup memory. */
export function stagedKeys(vectors: number, valueVectors: number): string {
  return `    workgroupBarrier();
    for (var i = lane; i < count * ${vectors}u; i += ${ATTENTION_ROWS}u) {
      keys[i] = k_vector(k_row(pair, first + i / ${vectors}u), i % ${vectors}u);
    }
    for (var i = lane; i < count * ${valueVectors}u; i += ${ATTENTION_ROWS}u) {
      values[i] = v_vector(v_row(pair, first + i / ${valueVectors}u), i % ${valueVectors}u);
    }
    workgroupBarrier();`;
}
