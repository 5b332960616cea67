/**
 * What all fast-weight scans share: their inputs, their results, and how they run.
 *
 *   q, k [batch, heads, time, keyDim]     v [batch, heads, time, valueDim]     S [batch, heads, valueDim, keyDim]
 *
 * A scan writes v_t into the matrix S under the key k_t, step by step, by a rule of its own, and reads y_t = S q_t. On the
 * CPU engine it is one kernel with a hand-derived gradient; on other backends, and where a gradient is differentiated
 * again, matrix products over chunks of time.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertOneOf, assertShape, assertTensor } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, isTapeOn } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import { keptBuffer } from './kept-buffer.ts';

/** Options of every fast-weight scan. */
export interface ScanOptions {
  /** S before the first step, float32 `[batch, heads, valueDim, keyDim]`. Default: zeros. */
  initialState?: tf.Tensor | undefined;
  /**
   * bool `[batch, time]`: true where a new sequence begins, so that S is zero before that step. Default: nowhere. Kernels forget
   * whatever there was; where a scan is composed of matrix products, infinities and NaN of earlier steps come through as NaN.
   */
  resetMask?: tf.Tensor | undefined;
  /**
   * Which S the output reads: `'after'` the step's write, y_t = S_t q_t, or `'before'` it, y_t = S_{t-1} q_t (after a reset,
   * before a decay). Default `'after'`.
   */
  read?: 'after' | 'before' | undefined;
}

/** Option of scans whose state decays. */
export interface DecayOptions {
  /** Whether the decays are given as logarithms (0 and less) instead of factors (0 to 1). Default `false`. */
  logDecay?: boolean | undefined;
}

/** Result of a fast-weight scan. */
export interface ScanResult {
  /** y of all steps, `[batch, heads, time, valueDim]`. */
  output: tf.Tensor4D;
  /** S after the last step, `[batch, heads, valueDim, keyDim]`. */
  finalState: tf.Tensor4D;
}

/** Result of one step of a fast-weight scan. */
export interface ScanStepResult {
  /** y, `[batch, heads, valueDim]`. */
  output: tf.Tensor3D;
  /** S after the step, `[batch, heads, valueDim, keyDim]`. */
  state: tf.Tensor4D;
}

/** Sizes of a scan's tensors. */
export type ScanSizes = Record<'batch' | 'heads' | 'time' | 'keyDim' | 'valueDim', number>;

/** What every scan takes, q, k and v apart from its gates. */
export interface ScanSequences {
  readonly q: tf.Tensor;
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
}

/**
 * Checks what all scans take.
 *
 * @param op the operation's name, for messages
 * @returns the sizes, to check the gates with
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function assertScan(op: string, { q, k, v }: ScanSequences, options: ScanOptions): ScanSizes {
  const { initialState, resetMask, read = 'after' } = options;
  let sizes = assertFloatShape(`${op}: q`, q, ['batch', 'heads', 'time', 'keyDim']);
  sizes = assertFloatShape(`${op}: k`, k, ['batch', 'heads', 'time', 'keyDim'], sizes);
  sizes = assertFloatShape(`${op}: v`, v, ['batch', 'heads', 'time', 'valueDim'], sizes);
  if (initialState !== undefined) {
    assertFloatShape(`${op}: initialState`, initialState, ['batch', 'heads', 'valueDim', 'keyDim'], sizes);
  }
  if (resetMask !== undefined) {
    assertTensor(`${op}: resetMask`, resetMask, 'bool');
    assertShape(`${op}: resetMask`, resetMask, ['batch', 'time'], sizes);
  }
  assertOneOf(`${op}: read`, read, ['after', 'before']);
  return sizes as ScanSizes;
}

/**
 * Sequences `[batch, heads, time, dim]` times factors `[batch, heads, time]`. Those without elements stay as they are: tfjs finds no
 * gradient of what was broadcast to an extent of 0.
 */
export function timesFactors(x: tf.Tensor, factors: tf.Tensor): tf.Tensor {
  return x.size === 0 ? x : tf.mul(x, tf.expandDims(factors, 3));
}

/** Decays as factors, whichever way they were given. Their gradient needs no division, so that 0 is an ordinary factor. */
export function decayFactors(decay: tf.Tensor, { logDecay = false }: DecayOptions): tf.Tensor {
  return logDecay ? tf.exp(decay) : decay;
}

/**
 * One step of a scan, for streams: `scan` on sequences of length 1.
 *
 * @param op the operation's name, for messages
 * @param inputs q and k `[batch, heads, keyDim]`, v `[batch, heads, valueDim]`, gates `[batch, heads]`
 * @param state S before the step
 * @param scan the scan, which receives the inputs with an axis of time, and the state in its options
 * @param channelGates whether gates may also be `[batch, heads, keyDim]`. Default: not
 * @returns the step's results; whatever else the scan gave besides output and state as it is
 */
export function scanStep<Inputs extends ScanSequences, Result extends ScanResult>(
  op: string,
  inputs: Inputs,
  state: tf.Tensor,
  scan: (inputs: Inputs, options: ScanOptions) => Result,
  channelGates = false,
): ScanStepResult & Omit<Result, keyof ScanResult> {
  const { q, k, v, ...gates } = inputs;
  let sizes = assertFloatShape(`${op}: q`, q, ['batch', 'heads', 'keyDim']);
  sizes = assertFloatShape(`${op}: k`, k, ['batch', 'heads', 'keyDim'], sizes);
  sizes = assertFloatShape(`${op}: v`, v, ['batch', 'heads', 'valueDim'], sizes);
  for (const [name, gate] of Object.entries(gates) as [string, tf.Tensor][]) {
    assertTensor(`${op}: ${name}`, gate);
    const channels = channelGates && gate.rank === 3 ? ['keyDim'] : [];
    assertFloatShape(`${op}: ${name}`, gate, ['batch', 'heads', ...channels], sizes);
  }
  assertFloatShape(`${op}: state`, state, ['batch', 'heads', 'valueDim', 'keyDim'], sizes);
  const { batch, heads, valueDim } = sizes as ScanSizes;
  return inTidy(() => {
    const sequences = Object.entries(inputs).map(([name, x]) => [name, tf.expandDims(x as tf.Tensor, 2)]);
    const { output, finalState, ...others } = scan(Object.fromEntries(sequences) as Inputs, { initialState: state });
    return { output: tf.reshape(output, [batch, heads, valueDim]), state: finalState, ...others };
  });
}

// ---- on the CPU engine, with its gradient --------------------------------------------------------

/** A scan as a kernel of the engine and its gradient; `Sizes` are those of its tensors. */
export interface ScanKernel<Sizes = ScanSizes> {
  /** Name of the kernel; that of its gradient is the same with `Gradient` at the end. */
  readonly name: string;
  /**
   * Float inputs, in the order in which the gradient kernel returns their gradients. One that was not given
   * reaches the kernels as a tensor without elements; so does `resetMask`, an input of every scan.
   */
  readonly inputs: readonly string[];
  /** Results. The gradient kernel receives their gradients as `dOutput`, `dFinalState`, … */
  readonly results: readonly string[];
  /** Results that the gradient kernel receives too. */
  readonly savedResults: readonly string[];
  /** Inputs that the kernel fills for its gradient, and their shapes; without elements when no gradient will be taken. */
  readonly kept: Readonly<Record<string, (sizes: Sizes) => number[]>>;
  /** Whether the kernel can do sizes on a backend. Default: all. */
  readonly supports?: (sizes: Sizes, backend: string) => boolean;
}

/**
 * Runs a scan as a kernel where that is possible, else its composition.
 *
 * @param kernel the kernel
 * @param sizes of its tensors, for most from {@link assertScan}
 * @param inputs the kernel's float inputs and `resetMask` by name; those that were not given undefined or left out
 * @param attributes what the kernels receive as attributes
 * @param composed the scan in tfjs operations
 */
export function runScan<R extends object, Sizes = ScanSizes>(
  kernel: ScanKernel<Sizes>,
  sizes: Sizes,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  attributes: object,
  composed: () => R,
): R {
  if (!canFuse(kernel.name) || kernel.supports?.(sizes, tf.getBackend()) === false) return inTidy(composed);
  return inTidy(() => {
    const all: Record<string, tf.Tensor> = { resetMask: inputs['resetMask'] ?? tf.zeros([0], 'bool') };
    for (const name of kernel.inputs) all[name] = inputs[name] ?? tf.zeros([0]);
    for (const [name, shape] of Object.entries(kernel.kept)) {
      all[name] = isTapeOn() ? keptBuffer(shape(sizes)) : tf.zeros([0]);
    }
    const results = runFused(kernel.name, all, attributes);
    return Object.fromEntries(kernel.results.map((name, index) => [name, results[index]])) as R;
  });
}

/** Gradient of a scan's kernel, for `registerGradients`. */
export function scanGradient<Sizes>({ name, inputs, results, savedResults, kept }: ScanKernel<Sizes>): Gradient {
  const inputsToSave = [...inputs, 'resetMask', ...Object.keys(kept)];
  return {
    kernelName: name,
    inputsToSave,
    outputsToSave: results.map((result) => savedResults.includes(result)),
    reads: [...results.keys()],
    gradFunc: (upstream, saved, attributes) => {
      const savedNames = [...inputsToSave, ...results.filter((result) => savedResults.includes(result))];
      const all: Record<string, tf.Tensor> = {};
      for (const [index, saved_] of savedNames.entries()) all[saved_] = saved[index] as tf.Tensor;
      for (const [index, result] of results.entries()) {
        all[`d${result.charAt(0).toUpperCase()}${result.slice(1)}`] = (upstream as tf.Tensor[])[index] as tf.Tensor;
      }
      const gradients = runFused(`${name}Gradient`, all, attributes);
      return Object.fromEntries(inputs.map((input, index) => [input, () => gradients[index] as tf.Tensor]));
    },
  };
}
