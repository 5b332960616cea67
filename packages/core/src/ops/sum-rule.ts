/**
 * What linear attention, with and without decays and normaliser, runs on: the sum rule.
 *
 *   S_t = S_{t-1} diag(a_t) + v_t k_tᵀ      z_t = a_t ∘ z_{t-1} + k_t      y_t = S_t q_t / D(z_t · q_t)
 *
 * a_t is 1, a factor or a vector of factors; D(n) is 1 without a normaliser, else n + ε or max(|n|, floor_t). On the CPU
 * engine one kernel runs over all steps (`csrc/linear-attention.c`); elsewhere, chunks of matrix products do
 * (`sum-rule-chunkwise.ts`).
 */

import * as tf from '@tensorflow/tfjs-core';
import { type LinearAttentionAttributes, MAX_LINEAR_ATTENTION_DIM } from '../backend/kernels/linear-attention.ts';
import { assertFloatShape, assertNumber } from '../shape-checks.ts';
import { MAX_SCAN_KEY_DIM } from '../webgpu/kernels/scan-states.ts';
import {
  runScan,
  type ScanKernel,
  type ScanOptions,
  type ScanResult,
  type ScanSequences,
  type ScanSizes,
  type ScanStepResult,
  scanGradient,
} from './fast-weight-scan.ts';
import { canFuse } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import { chunkwiseSumRule, normalized } from './sum-rule-chunkwise.ts';

/** Options of scans whose output may be divided by a running sum of keys. */
export interface NormalizerOptions {
  /** Whether to divide by z_t · q_t + ε, with z_t the (decaying) sum of keys so far. Default `false`. */
  normalize?: boolean | undefined;
  /** ε, which is added to the denominator. Default 1e-6. */
  epsilon?: number | undefined;
  /** z before the first step, float32 `[batch, heads, keyDim]`. Default: zeros. */
  initialNormalizer?: tf.Tensor | undefined;
}

/** Result of linear attention. */
export interface LinearAttentionResult extends ScanResult {
  /** z after the last step, `[batch, heads, keyDim]`; only with `normalize`. */
  finalNormalizer?: tf.Tensor3D;
}

/** Options of a step of linear attention. */
export interface NormalizerStepOptions {
  /** z before the step, float32 `[batch, heads, keyDim]`; given, the output is normalised. Default: none. */
  normalizer?: tf.Tensor | undefined;
  /** ε, which is added to the denominator. Default 1e-6. */
  epsilon?: number | undefined;
}

/** Result of a step of linear attention. */
export interface LinearAttentionStepResult extends ScanStepResult {
  /** z after the step, `[batch, heads, keyDim]`; only if one was given. */
  normalizer?: tf.Tensor3D;
}

/** Sequences, and the factors of the state. */
export interface SumRuleInputs extends ScanSequences {
  /** `[batch, heads, time]` or `[batch, heads, time, keyDim]`. */
  readonly decay?: tf.Tensor | undefined;
}

/** How outputs are normalised. */
export interface SumRuleNormalizer {
  readonly initial?: tf.Tensor | undefined;
  readonly epsilon?: number;
  /** `[batch, heads, time]`: the least denominator, instead of ε. It gets no gradient. */
  readonly floor?: tf.Tensor;
}

const KERNEL: ScanKernel = {
  name: 'FwpLinearAttention',
  inputs: ['q', 'k', 'v', 'initialState', 'decay'],
  results: ['output', 'finalState'],
  savedResults: [],
  kept: {},
  supports: ({ keyDim, valueDim }, backend) =>
    backend === 'webgpu' ? keyDim <= MAX_SCAN_KEY_DIM : Math.max(keyDim, valueDim) <= MAX_LINEAR_ATTENTION_DIM,
};

const eachStep = ({ batch, heads, time }: ScanSizes): number[] => [batch, heads, time];

const NORMALIZED_KERNEL: ScanKernel = {
  ...KERNEL,
  name: 'FwpNormalizedLinearAttention',
  inputs: [...KERNEL.inputs, 'initialNormalizer', 'floor'],
  results: [...KERNEL.results, 'finalNormalizer'],
  savedResults: ['output'],
  kept: { denominators: eachStep, scales: eachStep },
};

/**
 * Runs the sum rule.
 *
 * @param sizes from `assertScan`
 * @param inputs checked sequences and factors
 * @param options checked options of all scans
 * @param normalizer how to normalise; default: not
 * @param decayGradient whether anybody can ask for the gradient of the decay
 */
export function sumRule(
  sizes: ScanSizes,
  inputs: SumRuleInputs,
  { initialState, resetMask, read = 'after' }: ScanOptions,
  normalizer?: SumRuleNormalizer,
  decayGradient = true,
): LinearAttentionResult {
  const attributes: LinearAttentionAttributes = { read, epsilon: normalizer?.epsilon ?? 0, decayGradient };
  if (normalizer !== undefined && canFuse(KERNEL.name) && !canFuse(NORMALIZED_KERNEL.name)) {
    return inTidy(() =>
      normalized(sizes, inputs, { initialState, resetMask, read }, normalizer, (more, given, options) =>
        sumRule(more, given, options, undefined, decayGradient),
      ),
    );
  }
  const all = { ...inputs, initialState, resetMask, initialNormalizer: normalizer?.initial, floor: normalizer?.floor };
  return runScan<LinearAttentionResult>(normalizer ? NORMALIZED_KERNEL : KERNEL, sizes, all, attributes, () =>
    chunkwiseSumRule(sizes, inputs, { initialState, resetMask, read }, normalizer),
  );
}

/** {@link NormalizerOptions}, checked, as the sum rule takes them. */
export function normalizerOf(op: string, sizes: ScanSizes, options: NormalizerOptions): SumRuleNormalizer | undefined {
  const { normalize = false, epsilon = 1e-6, initialNormalizer } = options;
  if (!normalize) {
    if (initialNormalizer === undefined) return undefined;
    throw new RangeError(`${op}: initialNormalizer was given, but normalize is false. Set normalize: true.`);
  }
  assertNumber(`${op}: epsilon`, epsilon, 0);
  if (initialNormalizer !== undefined) {
    assertFloatShape(`${op}: initialNormalizer`, initialNormalizer, ['batch', 'heads', 'keyDim'], sizes);
  }
  return { initial: initialNormalizer, epsilon };
}

/** {@link NormalizerStepOptions} as options of a scan. */
export function stepNormalizer({ normalizer, epsilon }: NormalizerStepOptions): NormalizerOptions {
  return { normalize: normalizer !== undefined, initialNormalizer: normalizer, epsilon };
}

/** A step's result, with the scan's normaliser under the name that steps have for it. */
export function namedStep({
  finalNormalizer,
  ...step
}: ScanStepResult & Pick<LinearAttentionResult, 'finalNormalizer'>): LinearAttentionStepResult {
  return finalNormalizer === undefined ? step : { ...step, normalizer: finalNormalizer };
}

const normalizedGradient = scanGradient(NORMALIZED_KERNEL);

/** Gradients of the kernels, for `registerGradients`. */
export const sumRuleGradients: readonly Gradient[] = [
  scanGradient(KERNEL),
  {
    ...normalizedGradient,
    gradFunc: (upstream, saved, attributes) => ({
      ...normalizedGradient.gradFunc(upstream, saved, attributes),
      floor: () => tf.zerosLike(saved[NORMALIZED_KERNEL.inputs.indexOf('floor')] as tf.Tensor),
    }),
  },
];
