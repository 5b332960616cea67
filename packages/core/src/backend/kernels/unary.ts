/** Elementwise functions of one tensor; `csrc/elementwise.c` has the arithmetic. */

import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { fallback } from '../fallback.ts';
import type { Kernel, KernelCall, KernelTable } from '../kernel-table.ts';

/** The C kernels of a function, by the dtype of its input; `'identity'` where the function changes nothing. */
interface Variants {
  readonly float32?: string;
  readonly int32?: string;
  readonly bool?: string;
}

/** A tfjs kernel of one tensor `x`, its parameters being the attributes in `parameters`. */
function unary(kernelName: string, variants: Variants, parameters: readonly string[] = [], dtype?: DataType): Kernel {
  return (call: KernelCall) => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as TensorInfo;
    const variant = variants[x.dtype as keyof Variants];
    if (variant === undefined) return fallback(kernelName, call);
    if (variant === 'identity') return backend.alias(x, x.shape);
    const y = backend.makeOutput(x.shape.slice(), dtype ?? x.dtype);
    const size = util.sizeFromShape(x.shape);
    const from = backend.offsetOf(x);
    const to = backend.offsetOf(y);
    if (parameters.length === 0) backend.engine.run(variant, from, to, size);
    else backend.engine.run(variant, from, to, size, ...parameters.map((name) => attrs[name] as number));
    return y;
  };
}

/** A tfjs kernel of a gradient `dy` and a saved tensor of the same shape. */
function gradient(kernelName: string, savedName: string, variant: string): Kernel {
  return (call: KernelCall) => {
    const { inputs, backend } = call;
    const dy = inputs.dy as TensorInfo;
    const saved = inputs[savedName] as TensorInfo;
    if (dy.dtype !== 'float32' || saved.dtype !== 'float32') return fallback(kernelName, call);
    const dx = backend.makeOutput(saved.shape.slice(), 'float32');
    const size = util.sizeFromShape(saved.shape);
    backend.engine.run(variant, backend.offsetOf(dy), backend.offsetOf(saved), backend.offsetOf(dx), size);
    return dx;
  };
}

/** tfjs kernels of this family. */
export const unaryKernels: KernelTable = {
  Abs: unary('Abs', { float32: 'abs', int32: 'abs_i32', bool: 'identity' }),
  Neg: unary('Neg', { float32: 'neg', int32: 'neg_i32' }),
  Sign: unary('Sign', { float32: 'sign', int32: 'sign_i32' }),
  Square: unary('Square', { float32: 'square', int32: 'square_i32' }),
  Reciprocal: unary('Reciprocal', { float32: 'reciprocal' }),
  Sqrt: unary('Sqrt', { float32: 'sqrt' }),
  Rsqrt: unary('Rsqrt', { float32: 'rsqrt' }),
  Floor: unary('Floor', { float32: 'floor', int32: 'identity' }),
  Ceil: unary('Ceil', { float32: 'ceil', int32: 'identity' }),
  Round: unary('Round', { float32: 'round', int32: 'identity' }),
  Exp: unary('Exp', { float32: 'exp' }),
  Expm1: unary('Expm1', { float32: 'expm1' }),
  Log: unary('Log', { float32: 'log' }),
  Log1p: unary('Log1p', { float32: 'log1p' }),
  Sin: unary('Sin', { float32: 'sin' }),
  Cos: unary('Cos', { float32: 'cos' }),
  Tanh: unary('Tanh', { float32: 'tanh' }),
  Erf: unary('Erf', { float32: 'erf' }),
  Sigmoid: unary('Sigmoid', { float32: 'sigmoid' }),
  Softplus: unary('Softplus', { float32: 'softplus' }),
  Elu: unary('Elu', { float32: 'elu' }),
  EluGrad: gradient('EluGrad', 'y', 'elu_grad'),
  FwpTanhGrad: gradient('FwpTanhGrad', 'y', 'tanh_grad'),
  FwpSigmoidGrad: gradient('FwpSigmoidGrad', 'y', 'sigmoid_grad'),
  FwpSqrtGrad: gradient('FwpSqrtGrad', 'y', 'sqrt_grad'),
  FwpReluGrad: gradient('FwpReluGrad', 'y', 'relu_grad'),
  FwpSoftplusGrad: gradient('FwpSoftplusGrad', 'x', 'softplus_grad'),
  FwpGelu: unary('FwpGelu', { float32: 'gelu' }),
  FwpGeluGrad: gradient('FwpGeluGrad', 'x', 'gelu_grad'),
  FwpGeluTanh: unary('FwpGeluTanh', { float32: 'gelu_tanh' }),
  FwpGeluTanhGrad: gradient('FwpGeluTanhGrad', 'x', 'gelu_tanh_grad'),
  Selu: unary('Selu', { float32: 'selu' }),
  Relu: unary('Relu', { float32: 'relu', int32: 'relu_i32' }),
  Relu6: unary('Relu6', { float32: 'relu6', int32: 'relu6_i32' }),
  LeakyRelu: unary('LeakyRelu', { float32: 'leaky_relu' }, ['alpha']),
  Step: unary('Step', { float32: 'step' }, ['alpha']),
  ClipByValue: unary('ClipByValue', { float32: 'clip' }, ['clipValueMin', 'clipValueMax']),
  LogicalNot: unary('LogicalNot', { bool: 'logical_not' }),
  IsNan: unary('IsNan', { float32: 'is_nan' }, [], 'bool'),
  IsInf: unary('IsInf', { float32: 'is_inf' }, [], 'bool'),
  IsFinite: unary('IsFinite', { float32: 'is_finite' }, [], 'bool'),
};
