/** Kernels of `ops/relative-scores.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { filled, floatOutputs } from '../outputs.ts';

/** Attributes of both kernels. */
export interface RelativeScoresAttributes {
  readonly keys: number;
  readonly offset: number;
}

/** `FwpRelativeScoresGradient` gives the gradients of q and r. */
export const relativeScoresKernels: KernelTable = {
  FwpRelativeScores: relativeScores,
  FwpRelativeScoresGradient: relativeScoresGradient,
};

/** The arguments that both C kernels begin with. */
function commonArguments({ inputs, attrs, backend }: KernelCall): number[] {
  const { q, r } = inputs as { q: TensorInfo; r: TensorInfo };
  const { keys, offset } = attrs as RelativeScoresAttributes;
  const [batch, queries, heads, dim] = q.shape as [number, number, number, number];
  return [
    ...[batch, queries, keys, heads, dim, r.shape[0] as number, offset],
    ...[backend.offsetOf(q), backend.offsetOf(r)],
  ];
}

function relativeScores(call: KernelCall): TensorInfo {
  const { inputs, attrs, backend } = call;
  const [batch, queries, heads] = (inputs as { q: TensorInfo }).q.shape as [number, number, number];
  const scores = backend.makeOutput([batch, heads, queries, (attrs as RelativeScoresAttributes).keys]);
  return filled(backend, scores, () => {
    backend.engine.run('relative_scores', ...commonArguments(call), backend.offsetOf(scores));
  });
}

function relativeScoresGradient(call: KernelCall): TensorInfo[] {
  const { inputs, backend } = call;
  const { q, r, dy } = inputs as Record<'q' | 'r' | 'dy', TensorInfo>;
  return floatOutputs(backend, [q.shape, r.shape], (gradients) => {
    backend.engine.run('relative_scores_gradient', ...commonArguments(call), backend.offsetOf(dy), ...gradients);
  });
}
