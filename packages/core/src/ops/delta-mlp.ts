/**
 * The Delta MLP (Irie, Schlag, Csordás, Schmidhuber 2021, section 3.1 and appendix A): a deep fast net, of feed-forward blocks
 * whose matrices W and U the delta rule writes. With h = q for the first block and φ(x) = (ELU(x) + 1) / (Σ (ELU(x) + 1) + ε), each
 * block is
 *
 *   a_t = W_t φ(LayerNorm(h_t))        h'_t = h_t + U_t φ(a_t)
 *
 *   q, h [batch, heads, time, dim]   W [batch, heads, hiddenDim, dim]   U [batch, heads, dim, hiddenDim]
 *
 * with a gain and a bias of the LayerNorm that are ordinary, slow weights. No matrix sees an output of its own, so that the net is
 * one {@link deltaRule} after the other, each over all steps; there is nothing left to fuse.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertShape, assertTensor } from '../shape-checks.ts';
import { deltaRule } from './delta-rule.ts';
import type { ScanOptions, ScanSizes } from './fast-weight-scan.ts';
import { eluPlusOne } from './feature-maps/elementwise.ts';
import { inTidy } from './in-tidy.ts';
import { layerNorm } from './layer-norm.ts';
import { stepOf, withTime } from './recurrent-steps.ts';

/** What is written into a matrix of a {@link deltaMlp}, float32. */
export interface DeltaMlpWrites {
  /** Keys, `[batch, heads, time, keyDim]`: not negative and with a sum of 1, like the features that are read with. */
  k: tf.Tensor;
  /** Values, `[batch, heads, time, valueDim]`. */
  v: tf.Tensor;
  /** Write strengths, `[batch, heads, time]`. */
  beta: tf.Tensor;
}

/** A block of a {@link deltaMlp}. */
export interface DeltaMlpBlock {
  /** Into W: keys of `dim`, values of `hiddenDim` elements. */
  inward: DeltaMlpWrites;
  /** Into U: keys of `hiddenDim`, values of `dim` elements. */
  outward: DeltaMlpWrites;
  /** Gain of the LayerNorm, float32 `[dim]`. */
  gain: tf.Tensor;
  /** Bias of the LayerNorm, float32 `[dim]`. */
  bias: tf.Tensor;
}

/** Fast weights of a block. */
export type DeltaMlpState = {
  /** W, `[batch, heads, hiddenDim, dim]`. */
  inward: tf.Tensor;
  /** U, `[batch, heads, dim, hiddenDim]`. */
  outward: tf.Tensor;
};

/** Options of {@link deltaMlp}. */
export interface DeltaMlpOptions extends Pick<ScanOptions, 'resetMask'> {
  /** Fast weights of all blocks before the first step. Default: zeros. */
  initialState?: readonly DeltaMlpState[] | undefined;
  /** ε of the features. Default 1e-6. */
  epsilon?: number | undefined;
}

/** Result of {@link deltaMlp}. */
export interface DeltaMlpResult {
  /** h behind the last block, `[batch, heads, time, dim]`. */
  output: tf.Tensor4D;
  /** Fast weights of all blocks after the last step. */
  finalState: DeltaMlpState[];
}

/**
 * Runs a Delta MLP over sequences.
 *
 * @param q float32 inputs of the fast net, `[batch, heads, time, dim]`
 * @param blocks what is written into each block's matrices, and its slow weights
 * @param options initial state, resets, ε
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaMlp(
  q: tf.Tensor,
  blocks: readonly DeltaMlpBlock[],
  options: DeltaMlpOptions = {},
): DeltaMlpResult {
  const { initialState, resetMask, epsilon = 1e-6 } = options;
  const sizes = assertFloatShape('deltaMlp: q', q, ['batch', 'heads', 'time', 'dim']) as ScanSizes & { dim: number };
  if (resetMask !== undefined) {
    assertTensor('deltaMlp: resetMask', resetMask, 'bool');
    assertShape('deltaMlp: resetMask', resetMask, ['batch', 'time'], sizes);
  }
  if (initialState !== undefined && initialState.length !== blocks.length) {
    throw new RangeError(
      `deltaMlp: initialState has fast weights of ${initialState.length} blocks instead of ${blocks.length}.`,
    );
  }
  for (const [index, block] of blocks.entries()) assertBlock(`blocks[${index}]`, block, sizes);
  return inTidy(() => {
    let h: tf.Tensor = q;
    const finalState: DeltaMlpState[] = [];
    const read = (features: tf.Tensor, writes: DeltaMlpWrites, state: tf.Tensor | undefined) =>
      deltaRule(eluPlusOne(features, { normalization: 'sum', epsilon }), writes.k, writes.v, writes.beta, {
        initialState: state,
        resetMask,
      });
    for (const [index, { inward, outward, gain, bias }] of blocks.entries()) {
      const before = initialState?.[index];
      const hidden = read(layerNorm(h, gain, bias), inward, before?.inward);
      const change = read(hidden.output, outward, before?.outward);
      h = tf.add(h, change.output);
      finalState.push({ inward: hidden.finalState, outward: change.finalState });
    }
    return { output: tf.clone(h) as tf.Tensor4D, finalState };
  });
}

function assertBlock(name: string, { inward, outward, gain, bias }: DeltaMlpBlock, known: Record<string, number>) {
  let sizes = known;
  const steps = ['batch', 'heads', 'time'];
  sizes = assertFloatShape(`deltaMlp: ${name}.inward.k`, inward.k, [...steps, 'dim'], sizes);
  sizes = assertFloatShape(`deltaMlp: ${name}.inward.v`, inward.v, [...steps, 'hiddenDim'], sizes);
  assertFloatShape(`deltaMlp: ${name}.inward.beta`, inward.beta, steps, sizes);
  assertFloatShape(`deltaMlp: ${name}.outward.k`, outward.k, [...steps, 'hiddenDim'], sizes);
  assertFloatShape(`deltaMlp: ${name}.outward.v`, outward.v, [...steps, 'dim'], sizes);
  assertFloatShape(`deltaMlp: ${name}.outward.beta`, outward.beta, steps, sizes);
  assertFloatShape(`deltaMlp: ${name}.gain`, gain, ['dim'], sizes);
  assertFloatShape(`deltaMlp: ${name}.bias`, bias, ['dim'], sizes);
}

/** Result of {@link deltaMlpStep}. */
export interface DeltaMlpStepResult {
  /** h behind the last block, `[batch, heads, dim]`. */
  output: tf.Tensor3D;
  /** Fast weights of all blocks after the step. */
  state: DeltaMlpState[];
}

/**
 * One step of a Delta MLP, for streams: equal to {@link deltaMlp} on one more element.
 *
 * @param q float32 `[batch, heads, dim]`
 * @param blocks those of {@link deltaMlp}, whose writes have no axis of time
 * @param state the state before the step; undefined: zeros
 * @param options ε
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaMlpStep(
  q: tf.Tensor,
  blocks: readonly DeltaMlpBlock[],
  state: readonly DeltaMlpState[] | undefined,
  options: Pick<DeltaMlpOptions, 'epsilon'> = {},
): DeltaMlpStepResult {
  assertFloatShape('deltaMlpStep: q', q, ['batch', 'heads', 'dim']);
  for (const [index, block] of blocks.entries()) {
    for (const part of ['inward', 'outward'] as const) {
      const name = `deltaMlpStep: blocks[${index}].${part}`;
      for (const x of ['k', 'v'] as const) assertFloatShape(`${name}.${x}`, block[part][x], ['batch', 'heads', 'dim']);
      assertFloatShape(`${name}.beta`, block[part].beta, ['batch', 'heads']);
    }
  }
  return inTidy(() => {
    const steps = blocks.map(({ inward, outward, gain, bias }) => ({
      inward: withTime(inward, 2),
      outward: withTime(outward, 2),
      gain,
      bias,
    }));
    const { output, finalState } = deltaMlp(tf.expandDims(q, 2), steps, { ...options, initialState: state });
    return { output: stepOf(output, 2, 0) as tf.Tensor3D, state: finalState };
  });
}
