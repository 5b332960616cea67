/** Reductions over any axes; `csrc/reduce.c` has the arithmetic. */

import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { Kernel, KernelCall, KernelTable } from '../kernel-table.ts';
import { planReduction, type ReducePass, type ReducePlan, splitOf } from '../reduce-plan.ts';
import { castTo } from './cast.ts';

/** Kernels that split long reductions among threads and so take work space and a divisor. */
const SPLITTING: ReadonlySet<string> = new Set(['sum', 'square_sum', 'max', 'min']);

/** Runs one pass of a C kernel on the tensor at `from`. */
function runPass(
  backend: FwpBackend,
  variant: string,
  from: number,
  to: number,
  pass: ReducePass,
  divisor: number,
): void {
  const { outer, reduce, inner } = pass;
  if (!SPLITTING.has(variant)) {
    backend.engine.run(variant, from, to, outer, reduce, inner);
    return;
  }
  const split = splitOf(pass);
  const chunks = Math.ceil(reduce / split);
  const run = (workspace: number): void => {
    backend.engine.run(variant, from, to, outer, reduce, inner, split, workspace, divisor);
  };
  if (chunks > 1) backend.withWorkspace(outer * chunks * inner * 8, run);
  else run(0);
}

/**
 * Reduces float32, int32 or bool data by a plan; the first pass takes `variant`, later ones `again` (the same unless
 * the first pass also transforms the elements).
 */
export function reduceBy(
  backend: FwpBackend,
  x: TensorInfo,
  plan: ReducePlan,
  variant: string,
  again: string = variant,
  divisor = 1,
): TensorInfo {
  let current = x;
  plan.passes.forEach((pass, i) => {
    const isLast = i === plan.passes.length - 1;
    const out = backend.makeOutput(isLast ? plan.shape.slice() : [pass.outer, pass.inner], x.dtype);
    const kernel = i === 0 ? variant : again;
    runPass(backend, kernel, backend.offsetOf(current), backend.offsetOf(out), pass, isLast ? divisor : 1);
    if (current !== x) backend.release(current);
    current = out;
  });
  return current;
}

/** A reduction whose result has the dtype of its input. */
function reduction(kernelName: string, variants: Readonly<Record<string, string>>, axisAttribute: string): Kernel {
  return (call: KernelCall) => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as TensorInfo;
    const variant = variants[x.dtype];
    if (variant === undefined || util.sizeFromShape(x.shape) === 0) return fallback(kernelName, call);
    return reduceBy(backend, x, planReduction(x.shape, attrs[axisAttribute], attrs.keepDims), variant);
  };
}

/** A sum or product: bool counts as int32. */
function accumulation(kernelName: string, variants: Readonly<Record<string, string>>): Kernel {
  return (call: KernelCall) => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as TensorInfo;
    const input = x.dtype === 'bool' ? (castTo(backend, x, 'int32') as TensorInfo) : x;
    const variant = variants[input.dtype];
    if (variant === undefined) return fallback(kernelName, call);
    const y = reduceBy(backend, input, planReduction(x.shape, attrs.axis, attrs.keepDims), variant);
    if (input !== x) backend.release(input);
    return y;
  };
}

/** The mean is float32 whatever the input. */
function mean(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const input = castTo(backend, x, 'float32');
  if (input === undefined) return fallback('Mean', call);
  const plan = planReduction(x.shape, attrs.axis, attrs.keepDims);
  // Of nothing, 0: what tfjs's CPU backend says.
  const y = reduceBy(backend, input, plan, 'sum', 'sum', Math.max(1, plan.count));
  backend.release(input);
  return y;
}

/** Position of the extremum along one axis, as int32. */
function argument(kernelName: string, variants: Readonly<Record<string, string>>): Kernel {
  return (call: KernelCall) => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as TensorInfo;
    const variant = variants[x.dtype];
    if (variant === undefined || util.sizeFromShape(x.shape) === 0) return fallback(kernelName, call);
    const [axis] = util.parseAxisParam(attrs.axis, x.shape) as [number];
    const outer = util.sizeFromShape(x.shape.slice(0, axis));
    const inner = util.sizeFromShape(x.shape.slice(axis + 1));
    const [shape] = backend_util.computeOutAndReduceShapes(x.shape, [axis]);
    const y = backend.makeOutput(shape, 'int32');
    backend.engine.run(variant, backend.offsetOf(x), backend.offsetOf(y), outer, x.shape[axis] as number, inner);
    return y;
  };
}

/** tfjs kernels of this family. */
export const reductionKernels: KernelTable = {
  Sum: accumulation('Sum', { float32: 'sum', int32: 'sum_i32' }),
  Prod: accumulation('Prod', { float32: 'prod', int32: 'prod_i32' }),
  Mean: mean,
  Max: reduction('Max', { float32: 'max', int32: 'max_i32', bool: 'any' }, 'reductionIndices'),
  Min: reduction('Min', { float32: 'min', int32: 'min_i32', bool: 'all' }, 'axis'),
  All: reduction('All', { bool: 'all' }, 'axis'),
  Any: reduction('Any', { bool: 'any' }, 'axis'),
  ArgMax: argument('ArgMax', { float32: 'arg_max', int32: 'arg_max_i32' }),
  ArgMin: argument('ArgMin', { float32: 'arg_min', int32: 'arg_min_i32' }),
};
