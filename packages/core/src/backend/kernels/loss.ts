/** Softmax cross-entropy with integer targets, and its gradient. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { indexError, TARGET_ADVICE } from '../../index-checks.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { rowsOf } from './softmax.ts';

/**
 * Kernels of `softmaxCrossEntropy`; the masked ones have the input `mask`. `lse` is ln Σ exp(logits) of each row.
 *
 * | kernel                                              | inputs                     | outputs   |
 * |-----------------------------------------------------|----------------------------|-----------|
 * | `FwpSoftmaxCrossEntropy`, `FwpMaskedSoftmax…`       | logits, targets (, mask)   | loss, lse |
 * | `FwpSoftmaxCrossEntropyGrad`                        | the same, lse, dy          | dlogits   |
 */
export const lossKernels: KernelTable = {
  FwpSoftmaxCrossEntropy: softmaxCrossEntropy,
  FwpMaskedSoftmaxCrossEntropy: softmaxCrossEntropy,
  FwpSoftmaxCrossEntropyGrad: softmaxCrossEntropyGrad,
};

/** Attributes of these kernels. */
interface LossAttributes {
  readonly labelSmoothing: number;
  readonly reduction: 'none' | 'sum' | 'mean';
}

const REDUCTIONS = ['none', 'sum', 'mean'];

function softmaxCrossEntropy({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { logits, targets, mask } = inputs as Record<'logits' | 'targets', TensorInfo> & { mask?: TensorInfo };
  const { labelSmoothing, reduction } = attrs as LossAttributes;
  const [rows, n] = rowsOf(logits);
  const perRow = reduction === 'none';
  return floatOutputs(backend, [perRow ? targets.shape : [], [rows]], ([loss, lse]) => {
    const run = (losses: number): void => {
      const bad = backend.engine.run(
        'cross_entropy',
        backend.offsetOf(logits),
        backend.offsetOf(targets),
        mask === undefined ? 0 : backend.offsetOf(mask),
        losses,
        lse as number,
        loss as number,
        rows,
        n,
        labelSmoothing,
        REDUCTIONS.indexOf(reduction),
      );
      if (bad > 0) {
        const value = backend.viewOf(targets)[bad - 1] as number;
        throw indexError('softmaxCrossEntropy: targets', targets.shape, bad - 1, value, n, TARGET_ADVICE);
      }
    };
    if (perRow) run(loss as number);
    else backend.withWorkspace(rows * 4, run);
  });
}

function softmaxCrossEntropyGrad({ inputs, attrs, backend }: KernelCall): TensorInfo {
  const { logits, targets, mask, lse, dy } = inputs as Record<'logits' | 'targets' | 'lse' | 'dy', TensorInfo> & {
    mask?: TensorInfo;
  };
  const { labelSmoothing, reduction } = attrs as LossAttributes;
  const dlogits = backend.makeOutput(logits.shape, 'float32');
  backend.engine.run(
    'cross_entropy_grad',
    backend.offsetOf(logits),
    backend.offsetOf(targets),
    mask === undefined ? 0 : backend.offsetOf(mask),
    backend.offsetOf(lse),
    backend.offsetOf(dy),
    backend.offsetOf(dlogits),
    ...rowsOf(logits),
    labelSmoothing,
    REDUCTIONS.indexOf(reduction),
  );
  return dlogits;
}
