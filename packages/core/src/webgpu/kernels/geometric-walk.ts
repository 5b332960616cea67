/**
 * What the kernels of geometric attention share: where the parts of a projection are, and the walk of a query over the other
 * positions, from near to far, right before left, of which each invocation takes a piece.
 */

import type { WgslKernel } from '../program.ts';

/** Invocations of a workgroup. */
export const WALK_LANES = 64;
/** Longest sequence: what a query sees is in workgroup memory, three numbers for each position at most. */
export const MAX_GPU_GEOMETRIC_TIME = 1024;

/** Parameters of all kernels. */
export const GEOMETRIC_PARAMETERS: WgslKernel['parameters'] = {
  ...{ batch: 'u32', heads: 'u32', time: 'u32', dim: 'u32' },
};

/** Which `position` of which head (`pair`) a workgroup has. */
export const OWN_POSITION = `
  let pair = group_index(group, groups) / parameters.time;
  let position = group_index(group, groups) % parameters.time;
  if (pair >= parameters.batch * parameters.heads) { return; }
  let batch = pair / parameters.heads;
  let head = pair % parameters.heads;`;

/** `fn x_at(batch, time, part, head)`, the first number of queries (0), keys (1) or values (2), `direction_at`, `output_at`, `is_padding`. */
export function geometricRows(hasKeyMask: boolean): string {
  return `
fn x_at(batch: u32, time: u32, part: u32, head: u32) -> u32 {
  let row = (3u * parameters.dim + 2u) * parameters.heads;
  return (batch * parameters.time + time) * row + (part * parameters.heads + head) * parameters.dim;
}

/** Where the preference for the left of a query is; that for the right is \`heads\` further. */
fn direction_at(batch: u32, time: u32, head: u32) -> u32 {
  return x_at(batch, time, 3u, 0u) + head;
}

fn output_at(batch: u32, time: u32, head: u32) -> u32 {
  return ((batch * parameters.time + time) * parameters.heads + head) * parameters.dim;
}

fn is_padding(batch: u32, time: u32) -> bool {
  return ${hasKeyMask ? 'key_mask[batch * parameters.time + time] == 0' : 'batch >= parameters.batch || time >= parameters.time'};
}`;
}

/**
 * `fn visited(query, visit) -> u32`, the position at which the query is then; `fn piece_of(lane) -> vec2u`, the visits of an
 * invocation; and `fn rest_before(part, lane) -> f32`, the product of the parts of the invocations before this one.
 */
export const WALK: string = `
var<workgroup> rest_parts: array<f32, ${WALK_LANES}>;

fn visited(query: u32, visit: u32) -> u32 {
  let right = parameters.time - 1u - query;
  let near = min(query, right);
  if (visit < 2u * near) {
    let distance = visit / 2u + 1u;
    return select(query - distance, query + distance, visit % 2u == 0u);
  }
  let distance = visit - near + 1u;
  return select(query - distance, query + distance, right > query);
}

fn piece_of(lane: u32) -> vec2u {
  let visits = parameters.time - 1u;
  let share = (visits + ${WALK_LANES - 1}u) / ${WALK_LANES}u;
  return min(vec2u(visits), vec2u(lane * share, (lane + 1u) * share));
}

fn rest_before(part: f32, lane: u32) -> f32 {
  rest_parts[lane] = part;
  workgroupBarrier();
  var rest = 1.0;
  for (var i = 0u; i < lane; i++) { rest *= rest_parts[i]; }
  return rest;
}`;
