/** `init({ debug: true })`: finds the first operation that makes a NaN. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { NotANumberError } from '../errors.ts';
import type { FwpBackend } from './backend.ts';
import type { KernelCall } from './kernel-table.ts';

/**
 * Throws if an output holds a NaN. The outputs are freed first, so that nothing stays allocated.
 *
 * @throws NotANumberError naming the operation, the position and what went in
 */
export function checkForNaN(kernelName: string, call: KernelCall, outputs: TensorInfo | TensorInfo[]): void {
  const { backend } = call;
  const list = Array.isArray(outputs) ? outputs : [outputs];
  const bad = list.findIndex((output) => firstNaN(backend, output) >= 0);
  if (bad < 0) return;
  const output = list[bad] as TensorInfo;
  const position = util.indexToLoc(firstNaN(backend, output), output.shape.length, util.computeStrides(output.shape));
  const inputs = namedTensors(call.inputs);
  const carrier = inputs.find(([, tensor]) => firstNaN(backend, tensor) >= 0);
  const described = inputs.map(([name, tensor]) => `${name} ${tensor.dtype} [${tensor.shape}]`).join(', ');
  for (const tensor of list) backend.release(tensor);
  throw new NotANumberError(
    `Operation '${kernelName}' ${carrier ? `passed on a NaN of its input '${carrier[0]}'` : 'made a NaN'}: output ` +
      `${list.length > 1 ? `${bad} ` : ''}of shape [${output.shape}] at [${position}]. Inputs: ${described || 'none'}.`,
  );
}

function namedTensors(inputs: unknown): [string, TensorInfo][] {
  return Object.entries(inputs as Record<string, TensorInfo | TensorInfo[] | null | undefined>).flatMap(
    ([name, value]) =>
      value === null || value === undefined
        ? []
        : Array.isArray(value)
          ? value.map((tensor, i): [string, TensorInfo] => [`${name}[${i}]`, tensor])
          : [[name, value] as [string, TensorInfo]],
  );
}

/** Flat position of the first NaN, or -1. */
function firstNaN(backend: FwpBackend, tensor: TensorInfo): number {
  if (tensor.dtype !== 'float32') return -1;
  const nanOnly = 1;
  const { engine } = backend;
  return engine.run('find_non_finite', backend.offsetOf(tensor), util.sizeFromShape(tensor.shape), nanOnly) - 1;
}
