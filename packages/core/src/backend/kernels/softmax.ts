/** Softmax and log-softmax over the last axis, and their gradients. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { sizeOf } from '../strided-copy.ts';

/** tfjs kernels of this family, and the gradients of two of them in terms of the output y. */
export const softmaxKernels: KernelTable = {
  Softmax: (call) => forward('softmax', 'Softmax', call, call.attrs.dim),
  LogSoftmax: (call) => forward('log_softmax', 'LogSoftmax', call, call.attrs.axis),
  FwpSoftmaxGrad: (call) => backward('softmax_grad', call),
  FwpLogSoftmaxGrad: (call) => backward('log_softmax_grad', call),
};

/** Number of rows and their length, for kernels that work along the last axis. */
export function rowsOf(x: TensorInfo): [rows: number, length: number] {
  return [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1) ?? 1];
}

function forward(kernel: string, name: string, call: KernelCall, axis: number): TensorInfo | TensorInfo[] {
  const { inputs, backend } = call;
  const logits = inputs.logits as TensorInfo;
  const rank = logits.shape.length;
  if (axis !== -1 && axis !== rank - 1) {
    throw new Error(
      `Softmax along a non-last dimension is not yet supported. Logits was rank ${rank} and dim was ${axis}`,
    );
  }
  if (logits.dtype !== 'float32') return fallback(name, call);
  const y = backend.makeOutput(logits.shape, 'float32');
  backend.engine.run(kernel, backend.offsetOf(logits), backend.offsetOf(y), ...rowsOf(logits));
  return y;
}

function backward(kernel: string, { inputs, backend }: KernelCall): TensorInfo {
  const { y, dy } = inputs as { y: TensorInfo; dy: TensorInfo };
  const dx = backend.makeOutput(y.shape, 'float32');
  backend.engine.run(kernel, backend.offsetOf(y), backend.offsetOf(dy), backend.offsetOf(dx), ...rowsOf(y));
  return dx;
}
