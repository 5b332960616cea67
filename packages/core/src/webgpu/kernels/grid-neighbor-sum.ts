/**
 * A sum over the neighbours on a grid, of which cell i has the coordinates (i mod s₀, ⌊i / s₀⌋ mod s₁, …):
 *
 *   y[i, :] = x[i, :] + weight Σ_{j : 0 < |i − j|² ≤ 2} x[j, :]        x, y [cells, columns]
 *
 * with the distance of their coordinates. The neighbours are written out: two, eight, eighteen or thirty-two.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, unrolled } from './wgsl.ts';

/** Elements of a workgroup. */
export const NEIGHBOR_LANES = 64;

/** Workgroup: {@link NEIGHBOR_LANES} elements. `axes` is the number of the grid's axes. */
export const gridNeighborSum: WgslKernel = {
  name: 'grid_neighbor_sum',
  storage: () => ({ x: 'read f32', y: 'write f32' }),
  parameters: { elements: 'u32', columns: 'u32', s0: 'u32', s1: 'u32', s2: 'u32', s3: 'u32', weight: 'f32' },
  code: ({ axes }) => `
${entryPoint(NEIGHBOR_LANES)}
  let element = group_index(group, groups) * ${NEIGHBOR_LANES}u + lane;
  if (element >= parameters.elements) { return; }
  var rest = element / parameters.columns;
  var stride = parameters.columns;
${unrolled(
  axes as number,
  (axis) => `
  let c${axis} = rest % parameters.s${axis};
  let stride${axis} = stride;
  rest /= parameters.s${axis};
  stride *= parameters.s${axis};`,
)}
  var sum = 0.0;
${neighbors(axes as number)
  .map(addNeighbor)
  .join('\n')}
  y[element] = x[element] + parameters.weight * sum;
}`,
};

/** Steps along each axis to all neighbours: −1, 0 or 1, one or two of them not 0. */
function neighbors(axes: number): number[][] {
  let all: number[][] = [[]];
  for (let axis = 0; axis < axes; axis++) all = [-1, 0, 1].flatMap((step) => all.map((steps) => [...steps, step]));
  return all.filter((steps) => {
    const moved = steps.filter((step) => step !== 0).length;
    return moved === 1 || moved === 2;
  });
}

function addNeighbor(steps: readonly number[]): string {
  const moves = [...steps.entries()].filter(([, step]) => step !== 0);
  const isThere = moves.map(([axis, step]) => (step < 0 ? `c${axis} > 0u` : `c${axis} + 1u < parameters.s${axis}`));
  const place = moves.map(([axis, step]) => ` ${step < 0 ? '-' : '+'} stride${axis}`).join('');
  return `  if (${isThere.join(' && ')}) { sum += x[element${place}]; }`;
}
