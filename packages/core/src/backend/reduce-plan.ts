/**
 * Reductions over any axes as passes of the form [outer, reduce, inner] → [outer, inner], never by a transpose:
 * neighbouring axes are merged, and if reduced and kept axes still alternate, the groups are reduced one after
 * another from the last to the first.
 */

import { backend_util, util } from '@tensorflow/tfjs-core';

/** One pass over the data. */
export interface ReducePass {
  readonly outer: number;
  readonly reduce: number;
  readonly inner: number;
}

/** What to compute and what shape the result has. */
export interface ReducePlan {
  /** Shape of the result, reduced axes removed or kept with extent 1. */
  readonly shape: number[];
  /** Number of elements that each result is made of. */
  readonly count: number;
  /** At least one pass; a pass with `reduce` 1 changes nothing but is still there if nothing else is to do. */
  readonly passes: ReducePass[];
}

/** Plans a reduction of `shape` over `axis` (tfjs's meaning: one, several, negative, or all if null). */
export function planReduction(
  shape: number[],
  axis: number | number[] | null | undefined,
  keepDims: boolean,
): ReducePlan {
  const axes = util.parseAxisParam(axis as number | number[], shape);
  const [kept, reduced] = backend_util.computeOutAndReduceShapes(shape, axes);
  const isReduced = new Set(axes);
  // Alternating groups of kept and reduced axes, as [reduced?, size].
  const groups: [boolean, number][] = [];
  shape.forEach((extent, d) => {
    if (extent === 1) return;
    const last = groups.at(-1);
    if (last !== undefined && last[0] === isReduced.has(d)) last[1] *= extent;
    else groups.push([isReduced.has(d), extent]);
  });
  const passes: ReducePass[] = [];
  for (let position = groups.length - 1; position >= 0; position--) {
    const [reducedHere, reduce] = groups[position] as [boolean, number];
    if (!reducedHere) continue;
    const outer = productOf(groups.slice(0, position));
    const inner = productOf(groups.slice(position + 1).filter(([wasReduced]) => !wasReduced));
    passes.push({ outer, reduce, inner });
  }
  if (passes.length === 0) passes.push({ outer: productOf(groups), reduce: 1, inner: 1 });
  return {
    shape: keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept,
    count: util.sizeFromShape(reduced),
    passes,
  };
}

/** Columns that the C kernels reduce at a time; equals `REDUCE_COLUMN_TILE` of `csrc/reduce.c`. */
const COLUMN_TILE = 1024;
/** Elements per chunk that are worth a thread. */
const CHUNK = 1 << 16;
const MOST_CHUNKS = 256;

/**
 * Number of reduced elements per chunk for a pass that has too few outputs to share among threads; `reduce` itself
 * where it is better not to split. A function of the sizes only, so that results don't depend on the threads.
 */
export function splitOf({ outer, reduce, inner }: ReducePass): number {
  const width = Math.min(inner, COLUMN_TILE);
  const tasks = outer * Math.ceil(inner / COLUMN_TILE);
  if (tasks >= 8 || reduce * width < 2 * CHUNK) return Math.max(reduce, 1);
  const rows = Math.max(CHUNK / width, reduce / MOST_CHUNKS);
  return Math.ceil(rows / 128) * 128;
}

function productOf(groups: readonly [boolean, number][]): number {
  return groups.reduce((product, [, size]) => product * size, 1);
}
