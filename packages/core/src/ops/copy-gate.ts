/**
 * Copy gate (Csordás, Irie and Schmidhuber, The Neural Data Router, 2022, equation 5): each number of a state is kept as it
 * is or replaced by an update,
 *
 *   y = state + g (update − state)      g = σ(gate)      all [..., features]
 *   dstate = dy (1 − g)      dupdate = dy g      dgate = dy (update − state) g (1 − g)
 *
 * With gate dropout some rows, drawn at random, keep their state altogether: g = 0 for all their features. Nothing is scaled
 * for it. Where g is 0, the state is kept bit for bit.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { CopyGateAttributes } from '../backend/kernels/copy-gate.ts';
import type { RandomStream } from '../random/stream.ts';
import { randomBernoulli } from '../random/tensors.ts';
import { assertFloatShape, assertNumber } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** Options of {@link copyGate}. */
export interface CopyGateOptions {
  /** Closes the gates of whole rows at random. Default: none. */
  gateDropout?: { readonly rate: number; readonly random: RandomStream } | undefined;
}

/**
 * Keeps or replaces each number of a state.
 *
 * @param state float32 `[..., features]`
 * @param update the same shape
 * @param gate the same shape: before the sigmoid; large opens
 * @param options gate dropout
 * @returns the same shape
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function copyGate<T extends tf.Tensor>(
  state: T,
  update: tf.Tensor,
  gate: tf.Tensor,
  { gateDropout }: CopyGateOptions = {},
): T {
  assertFloatShape('copyGate: state', state, ['...', 'features']);
  assertFloatShape('copyGate: update', update, state.shape);
  assertFloatShape('copyGate: gate', gate, state.shape);
  if (gateDropout !== undefined) assertNumber('copyGate: gateDropout.rate', gateDropout.rate, 0, 1 - 2 ** -32);
  const threshold = gateDropout === undefined ? 2 ** 32 : Math.round((1 - gateDropout.rate) * 2 ** 32);
  const random = threshold >= 2 ** 32 ? undefined : gateDropout?.random;
  const rows = state.shape.slice(0, -1);
  return tf.tidy(() => {
    if (canFuse('FwpCopyGate')) {
      const attributes: CopyGateAttributes = random ? { gateDropout: { threshold, state: random.state } } : {};
      random?.reserve(tf.util.sizeFromShape(rows));
      return runKernel('FwpCopyGate', { state, update, gate }, attributes) as T;
    }
    const opened = tf.sigmoid(gate);
    const open = random
      ? tf.mul(
          opened,
          randomBernoulli(random, [...rows, 1], {
            probability: threshold / 2 ** 32,
            dtype: 'float32',
          }),
        )
      : opened;
    return tf.add<T>(state, tf.mul(open, tf.sub(update, state)));
  });
}

/** Gradient of the kernel, for `registerGradients`. */
export const copyGateGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpCopyGate',
    inputsToSave: ['state', 'update', 'gate'],
    gradFunc: (dy, saved, attributes) => {
      const [state, update, gate] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const gradients = runFused('FwpCopyGateGradient', { state, update, gate, dy: dy as tf.Tensor }, attributes);
      const [dState, dUpdate, dGate] = gradients as [tf.Tensor, tf.Tensor, tf.Tensor];
      return { state: () => dState, update: () => dUpdate, gate: () => dGate };
    },
  },
];
