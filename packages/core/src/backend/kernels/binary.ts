/** Elementwise functions of two tensors with broadcasting; `csrc/binary.c` has the arithmetic. */

import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { BROADCAST_RANK, planBroadcast } from '../broadcast-plan.ts';
import { fallback } from '../fallback.ts';
import type { Kernel, KernelCall, KernelTable } from '../kernel-table.ts';

/** The C kernels of a function, by the dtype of its inputs. */
interface Variants {
  readonly float32?: string;
  readonly int32?: string;
  readonly bool?: string;
}

const noStrides: readonly number[] = new Array<number>(BROADCAST_RANK).fill(0);

/** `list` with as many entries as the kernels take. */
function padded(list: readonly number[]): readonly number[] {
  return list.concat(noStrides.slice(list.length));
}

/** Runs a C kernel of two tensors; undefined if the shapes have more dimensions than it takes. */
function runBinary(
  backend: FwpBackend,
  variant: string,
  a: TensorInfo,
  b: TensorInfo,
  dtype: DataType,
): TensorInfo | undefined {
  const plan = planBroadcast(a.shape, b.shape);
  if (plan.dims.length > BROADCAST_RANK) return undefined;
  const out = backend.makeOutput(plan.shape, dtype);
  const { engine } = backend;
  const [aOffset, bOffset, outOffset] = [backend.offsetOf(a), backend.offsetOf(b), backend.offsetOf(out)];
  if (plan.scalar !== undefined) {
    engine.run(variant, aOffset, bOffset, outOffset, plan.size, plan.scalar);
  } else {
    engine.run(
      `${variant}_broadcast`,
      aOffset,
      bOffset,
      outOffset,
      plan.dims.length,
      ...padded(plan.dims),
      ...padded(plan.aStrides),
      ...padded(plan.bStrides),
    );
  }
  return out;
}

/** A tfjs kernel of two tensors, `a` and `b` unless other names are given. */
function binary(
  kernelName: string,
  variants: Variants,
  dtype?: DataType,
  names: [string, string] = ['a', 'b'],
): Kernel {
  return (call: KernelCall) => {
    const { inputs, backend } = call;
    const a = inputs[names[0]] as TensorInfo;
    const b = inputs[names[1]] as TensorInfo;
    const variant = variants[a.dtype as keyof Variants];
    if (variant === undefined || a.dtype !== b.dtype) return fallback(kernelName, call);
    return runBinary(backend, variant, a, b, dtype ?? a.dtype) ?? fallback(kernelName, call);
  };
}

/** A comparison: bool for operands of every dtype. */
function comparison(kernelName: string, variant: string): Kernel {
  return binary(kernelName, { float32: variant, int32: `${variant}_i32`, bool: `${variant}_bool` }, 'bool');
}

/** x², the power that is taken most, is a multiplication. */
function pow(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, backend } = call;
  const a = inputs.a as TensorInfo;
  const b = inputs.b as TensorInfo;
  const isSquare = a.dtype === 'float32' && b.shape.length === 0 && b.dtype === 'float32' && backend.viewOf(b)[0] === 2;
  return isSquare ? (runBinary(backend, 'multiply', a, a, 'float32') as TensorInfo) : powTensors(call);
}

const powTensors: Kernel = binary('Pow', { float32: 'power', int32: 'power_i32' });

/** Σ inputs, in order. */
function addN(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const inputs = call.inputs as TensorInfo[];
  const [first, second] = inputs;
  if (first === undefined || inputs.some(({ dtype }) => dtype !== first.dtype)) return fallback('AddN', call);
  const variant = first.dtype === 'float32' ? 'add' : first.dtype === 'int32' ? 'add_i32' : undefined;
  if (variant === undefined) return fallback('AddN', call);
  if (second === undefined) return backend.alias(first, first.shape);
  const out = runBinary(backend, variant, first, second, first.dtype) as TensorInfo;
  const offset = backend.offsetOf(out);
  const size = out.shape.reduce((product, extent) => product * extent, 1);
  for (const term of inputs.slice(2)) backend.engine.run(variant, offset, backend.offsetOf(term), offset, size, 0);
  return out;
}

/** tfjs kernels of this family. */
export const binaryKernels: KernelTable = {
  Add: binary('Add', { float32: 'add', int32: 'add_i32' }),
  AddN: addN,
  Sub: binary('Sub', { float32: 'sub', int32: 'sub_i32' }),
  Multiply: binary('Multiply', { float32: 'multiply', int32: 'multiply_i32', bool: 'multiply_bool' }),
  RealDiv: binary('RealDiv', { float32: 'divide', int32: 'divide_i32' }),
  FloorDiv: binary('FloorDiv', { float32: 'floor_div', int32: 'floor_div_i32' }, 'int32'),
  Mod: binary('Mod', { float32: 'mod', int32: 'mod_i32' }),
  Pow: pow,
  Maximum: binary('Maximum', { float32: 'maximum', int32: 'maximum_i32', bool: 'maximum_bool' }),
  Minimum: binary('Minimum', { float32: 'minimum', int32: 'minimum_i32', bool: 'minimum_bool' }),
  SquaredDifference: binary('SquaredDifference', { float32: 'squared_difference', int32: 'squared_difference_i32' }),
  Prelu: binary('Prelu', { float32: 'prelu' }, 'float32', ['x', 'alpha']),
  Equal: comparison('Equal', 'equal'),
  NotEqual: comparison('NotEqual', 'not_equal'),
  Less: comparison('Less', 'less'),
  LessEqual: comparison('LessEqual', 'less_equal'),
  Greater: comparison('Greater', 'greater'),
  GreaterEqual: comparison('GreaterEqual', 'greater_equal'),
  LogicalAnd: binary('LogicalAnd', { bool: 'logical_and_bool' }, 'bool'),
  LogicalOr: binary('LogicalOr', { bool: 'logical_or_bool' }, 'bool'),
  BitwiseAnd: binary('BitwiseAnd', { int32: 'bitwise_and_i32' }),
};
