/**
 * The k largest numbers of each row, in order, and where they are: of equal ones the first, and NaN above all, as the engine
 * has it.
 *
 *   x [rows, columns]   values, indices [rows, k]        float32, or int32, as integers in the order of the numbers
 *
 * Each of k passes over the row finds the best of those that come after the last one found; k is small where this is used.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupReduction } from './wgsl.ts';

const LANES = 64;

/** Workgroup: one row. */
export const topK: WgslKernel = {
  name: 'top_k',
  storage: () => ({ x: 'read i32', values: 'write i32', indices: 'write i32' }),
  parameters: { rows: 'u32', columns: 'u32', k: 'u32' },
  code: ({ integers }) => `
/** What is found in a lane that has nothing. */
const NOTHING = vec2i(-0x7fffffff - 1, 0x7fffffff);

/** An integer for each number, in their order. */
fn order_of(bits: i32) -> i32 {
  ${
    integers
      ? 'return bits;'
      : `if ((bits & 0x7fffffff) > 0x7f800000) { return 0x7fffffff; }
  // -0 is 0.
  if ((bits & 0x7fffffff) == 0) { return 0; }
  return bits ^ ((bits >> 31u) & 0x7fffffff);`
  }
}

/** The better of two pairs of order and place. */
fn better(a: vec2i, b: vec2i) -> vec2i {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}
${workgroupReduction('best_of', LANES, 'vec2i', (a, b) => `better(${a}, ${b})`)}

${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.columns;
  var last = vec2i(0x7fffffff, -1);
  for (var place = 0u; place < parameters.k; place++) {
    var own = NOTHING;
    for (var i = lane; i < parameters.columns; i += ${LANES}u) {
      let candidate = vec2i(order_of(x[first + i]), i32(i));
      let is_left = candidate.x < last.x || (candidate.x == last.x && candidate.y > last.y);
      if (is_left) { own = better(own, candidate); }
    }
    last = best_of(own, lane);
    if (lane == 0u) {
      values[row * parameters.k + place] = x[first + u32(last.y)];
      indices[row * parameters.k + place] = last.y;
    }
  }
}`,
};
