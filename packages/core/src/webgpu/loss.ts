/** Softmax cross-entropy on the GPU, in the place of the engine's `backend/kernels/loss.ts`. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { crossEntropy } from './kernels/cross-entropy.ts';
import { crossEntropyGradient } from './kernels/cross-entropy-gradient.ts';
import { meanOfRows } from './kernels/mean-of-rows.ts';
import { rowSums } from './kernels/row-sums.ts';
import { runKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const lossKernels: GpuKernelTable = {
  FwpSoftmaxCrossEntropy: softmaxCrossEntropy,
  FwpMaskedSoftmaxCrossEntropy: softmaxCrossEntropy,
  FwpSoftmaxCrossEntropyGrad: softmaxCrossEntropyGradient,
};

interface Inputs {
  /** [..., classes]. */
  readonly logits: TensorInfo;
  /** [...]. */
  readonly targets: TensorInfo;
  readonly mask?: TensorInfo;
}

interface Attributes {
  readonly labelSmoothing: number;
  readonly reduction: 'none' | 'sum' | 'mean';
}

/** The loss, and the logarithms of the sums of exponentials. */
function softmaxCrossEntropy({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const { logits, targets, mask } = inputs as Inputs;
  const { labelSmoothing, reduction } = attrs as Attributes;
  const { rows, classes } = sizesOf(logits);
  const perRow = reduction === 'none';
  return outputsOf(backend, [perRow ? targets.shape : [], [rows]], (loss, logSum) => {
    if (rows * classes === 0) {
      clear(backend, [loss, logSum] as TensorInfo[]);
      return;
    }
    const run = (losses: TensorInfo): void => {
      runKernel(backend, crossEntropy, {
        tensors: { logits, targets, weights: mask, log_sum: logSum, losses },
        parameters: { rows, classes, smoothing: labelSmoothing },
        groups: rows,
      });
    };
    if (perRow) run(loss as TensorInfo);
    else {
      withWorkspace(backend, [rows], (losses) => {
        run(losses as TensorInfo);
        runKernel(backend, meanOfRows, {
          constants: { reduction },
          tensors: { losses, weights: mask, result: loss },
          parameters: { rows },
          groups: 1,
        });
      });
    }
  });
}

function softmaxCrossEntropyGradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo {
  const { logits, targets, mask, lse, dy } = inputs as Inputs & { lse: TensorInfo; dy: TensorInfo };
  const { labelSmoothing, reduction } = attrs as Attributes;
  const { rows, classes } = sizesOf(logits);
  const [dLogits] = outputsOf(backend, [logits.shape], (output) => {
    withTotalWeight(backend, reduction === 'mean' ? mask : undefined, (totalWeight) => {
      runKernel(backend, crossEntropyGradient, {
        constants: { reduction },
        tensors: {
          ...{ logits, targets, weights: mask, log_sum: lse, dy },
          ...{ total_weight: totalWeight, d_logits: output },
        },
        parameters: { rows, classes, smoothing: labelSmoothing },
        groups: classes === 0 ? 0 : rows,
      });
    });
  });
  return dLogits as TensorInfo;
}

/** Runs something with the sum of the weights, if there are any. */
function withTotalWeight(
  backend: WebGpuBackend,
  weights: TensorInfo | undefined,
  use: (total: TensorInfo | undefined) => void,
): void {
  if (weights === undefined || weights.shape.includes(0)) {
    use(undefined);
    return;
  }
  withWorkspace(backend, [1], (total) => {
    const columns = util.sizeFromShape(weights.shape);
    runKernel(backend, rowSums, {
      tensors: { x: weights, y: total },
      parameters: { rows: 1, columns, offset: 0 },
      groups: 1,
    });
    use(total);
  });
}

function sizesOf({ shape }: TensorInfo): { rows: number; classes: number } {
  return { rows: util.sizeFromShape(shape.slice(0, -1)), classes: shape.at(-1) as number };
}
