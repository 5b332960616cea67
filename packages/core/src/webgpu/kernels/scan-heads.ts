/** What kernels of scans begin with: which head a workgroup has, and where its sequences begin anew. */

/**
 * `local_head` among the heads that run, `head` among all; those that run begin with `first_head`.
 *
 * @param index which of those that run, an expression
 */
export function ownHead(index = 'group_index(group, groups)'): string {
  return `  let local_head = ${index};
  if (local_head >= parameters.heads) { return; }
  let head = parameters.first_head + local_head;`;
}

/** {@link ownHead}, with the `steps` of all heads and how many `segments` of them a head has, for gradients that make states again. */
export function ownHeadInSegments(segment: number): string {
  return `${ownHead()}
  let steps = parameters.all_heads * parameters.time;
  let segments = (parameters.time + ${segment - 1}u) / ${segment}u;`;
}

/** `fn is_reset(head, t) -> bool` of the mask `resets` [batch, time], if it is given. */
export function headResets(given: boolean): string {
  return `
fn is_reset(head: u32, t: u32) -> bool {
  return ${given ? 'resets[head / parameters.heads_per_batch * parameters.time + t] != 0' : 'false'};
}`;
}
