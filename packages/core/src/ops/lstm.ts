/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000) over whole sequences:
 *
 *   z_t = x_t W + h_{t-1} R + bias, cut into four: i, f, g, o
 *   i, f, o = σ(·)      g = tanh(·)      c_t = f ∘ c_{t-1} + i ∘ g      h_t = o ∘ tanh(c_t)
 *
 *   x [batch, time, inputs]   W [inputs, 4 · hidden]   R [hidden, 4 · hidden]   bias [4 · hidden]   output = h [batch, time, hidden]
 *
 * The gates come in the order i, f, g, o, as in PyTorch (whose weights are the transposes, and whose two biases add up to
 * this one). A forget bias of 1 or so at the start is up to the caller. All steps run in one kernel (`csrc/lstm.c`, on a GPU
 * `webgpu/lstm.ts`), and so do those of the gradient, which is exact for everything, the initial state included.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertShape, assertTensor } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import { keptBuffer } from './kept-buffer.ts';
import { linear, linearInputGradient, linearWeightGradient } from './linear.ts';
import { restarted, stepsOf } from './recurrent-steps.ts';

/** Parameters of an LSTM layer; gates in the order i, f, g, o. */
export interface LstmWeights {
  /** float32 `[inputs, 4 · hidden]`. */
  inputWeight: tf.Tensor;
  /** float32 `[hidden, 4 · hidden]`. */
  recurrentWeight: tf.Tensor;
  /** float32 `[4 · hidden]`. Default: none. */
  bias?: tf.Tensor | undefined;
}

/** Options of {@link lstm}. */
export interface LstmOptions {
  /** h before the first step, float32 `[batch, hidden]`. Default: zeros. */
  initialHidden?: tf.Tensor | undefined;
  /** c before the first step, float32 `[batch, hidden]`. Default: zeros. */
  initialCell?: tf.Tensor | undefined;
  /** bool `[batch, time]`: true where a new sequence begins, so that h and c are zero before that step. Default: nowhere. */
  resetMask?: tf.Tensor | undefined;
}

/** Result of {@link lstm}. */
export interface LstmResult {
  /** h of all steps, `[batch, time, hidden]`. */
  output: tf.Tensor3D;
  /** h after the last step, `[batch, hidden]`. */
  finalHidden: tf.Tensor2D;
  /** c after the last step, `[batch, hidden]`. */
  finalCell: tf.Tensor2D;
}

/** State of {@link lstmStep}. */
export interface LstmState {
  /** h, `[batch, hidden]`. */
  hidden: tf.Tensor;
  /** c, `[batch, hidden]`. */
  cell: tf.Tensor;
}

/**
 * Runs an LSTM layer over sequences.
 *
 * @param x float32 `[batch, time, inputs]`
 * @param weights the layer's parameters
 * @param options initial state and resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function lstm(x: tf.Tensor, weights: LstmWeights, options: LstmOptions = {}): LstmResult {
  const { inputWeight, recurrentWeight, bias } = weights;
  const { initialHidden, initialCell, resetMask } = options;
  const { batch, time, inputs } = assertFloatShape('lstm: x', x, ['batch', 'time', 'inputs']);
  const { hidden } = assertFloatShape('lstm: recurrentWeight', recurrentWeight, ['hidden', '4 · hidden']) as {
    hidden: number;
  };
  const columns = 4 * hidden;
  assertShape('lstm: recurrentWeight', recurrentWeight, ['hidden', columns]);
  assertFloatShape('lstm: inputWeight', inputWeight, ['inputs', columns], { inputs: inputs as number });
  if (bias !== undefined) assertFloatShape('lstm: bias', bias, [columns]);
  const sizes = { batch: batch as number, time: time as number, hidden };
  for (const [name, state] of Object.entries({ initialHidden, initialCell })) {
    if (state !== undefined) assertFloatShape(`lstm: ${name}`, state, ['batch', 'hidden'], sizes);
  }
  if (resetMask !== undefined) {
    assertTensor('lstm: resetMask', resetMask, 'bool');
    assertShape('lstm: resetMask', resetMask, ['batch', 'time'], sizes);
  }

  const start: Start = { initialHidden, initialCell, resetMask };
  const fused = canFuse('FwpLstm') && hidden <= MAX_HIDDEN;
  return inTidy(() => (fused ? fusedLstm : composedLstm)(x, weights, start, hidden));
}

/**
 * One step of an LSTM, for streams: equal to {@link lstm} on one more element.
 *
 * @param x float32 `[batch, inputs]`
 * @param weights the layer's parameters
 * @param state h and c before the step
 * @returns h (the output) and c after it
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function lstmStep(
  x: tf.Tensor,
  weights: LstmWeights,
  state: LstmState,
): { hidden: tf.Tensor2D; cell: tf.Tensor2D } {
  const { batch } = assertFloatShape('lstmStep: x', x, ['batch', 'inputs']) as { batch: number };
  assertFloatShape('lstmStep: state.hidden', state.hidden, ['batch', 'hidden'], { batch });
  assertFloatShape('lstmStep: state.cell', state.cell, ['batch', 'hidden'], { batch });
  return tf.tidy(() => {
    const sequence = tf.expandDims(x, 1);
    const { finalHidden, finalCell } = lstm(sequence, weights, {
      initialHidden: state.hidden,
      initialCell: state.cell,
    });
    return { hidden: finalHidden, cell: finalCell };
  });
}

/** Above this, a row of gates no longer fits the kernel's scratch memory. */
const MAX_HIDDEN = 16384;

/** The options, checked. */
type Start = Readonly<Record<'initialHidden' | 'initialCell' | 'resetMask', tf.Tensor | undefined>>;

// ---- as one kernel ------------------------------------------------------------------------------

function fusedLstm(x: tf.Tensor, weights: LstmWeights, start: Start, hidden: number): LstmResult {
  const [batch, time] = x.shape as [number, number];
  const { inputWeight, recurrentWeight, bias } = weights;
  const [output, finalHidden, finalCell] = runFused('FwpLstm', {
    x,
    inputWeight,
    recurrentWeight,
    ...(bias === undefined ? {} : { bias }),
    initialHidden: start.initialHidden ?? tf.zeros([batch, hidden]),
    initialCell: start.initialCell ?? tf.zeros([batch, hidden]),
    // The gradient saves all of these; no elements stand for no resets.
    resetMask: start.resetMask ?? tf.zeros([0], 'bool'),
    gates: keptBuffer([batch, time, 4 * hidden]),
    cells: keptBuffer([batch, time, hidden]),
  }) as [tf.Tensor3D, tf.Tensor2D, tf.Tensor2D];
  return { output, finalHidden, finalCell };
}

const SAVED_INPUTS = [
  ...['x', 'inputWeight', 'recurrentWeight', 'initialHidden', 'initialCell', 'resetMask', 'gates', 'cells'],
];

/** Gradient of the kernel, for {@link registerGradients}. */
export const lstmGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpLstm',
    inputsToSave: SAVED_INPUTS,
    outputsToSave: [true, false, false],
    reads: [0, 1, 2],
    gradFunc: (upstream, saved) => {
      const [dOutput, dFinalHidden, dFinalCell] = upstream as [tf.Tensor, tf.Tensor, tf.Tensor];
      const inputs: tf.NamedTensorMap = { dOutput, dFinalHidden, dFinalCell };
      for (const [index, name] of [...SAVED_INPUTS, 'output'].entries()) inputs[name] = saved[index] as tf.Tensor;
      const { x, inputWeight } = inputs as { x: tf.Tensor; inputWeight: tf.Tensor };
      const [dz, dWeight, dHidden, dCell, dBias] = runFused('FwpLstmGradient', inputs) as Five;
      return {
        x: () => linearInputGradient(dz, inputWeight),
        inputWeight: () => linearWeightGradient(x, dz),
        recurrentWeight: () => dWeight,
        bias: () => dBias,
        initialHidden: () => dHidden,
        initialCell: () => dCell,
      };
    },
  },
];

type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

// ---- on other backends, and where the gradient is differentiated again ---------------------------

function composedLstm(x: tf.Tensor, weights: LstmWeights, start: Start, units: number): LstmResult {
  const [batch, time] = x.shape as [number, number];
  const gates = linear(x, weights.inputWeight, { bias: weights.bias });
  let hidden = (start.initialHidden ?? tf.zeros([batch, units])) as tf.Tensor2D;
  let cell = (start.initialCell ?? tf.zeros([batch, units])) as tf.Tensor2D;
  const outputs: tf.Tensor[] = [];
  for (const [t, fromInput] of stepsOf(gates, 1).entries()) {
    hidden = restarted(hidden, start.resetMask, t) as tf.Tensor2D;
    cell = restarted(cell, start.resetMask, t) as tf.Tensor2D;
    const z = tf.add(fromInput, tf.matMul(hidden, weights.recurrentWeight as tf.Tensor2D));
    const [i, f, g, o] = tf.split(z, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    cell = tf.add(tf.mul(tf.sigmoid(f), cell), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    hidden = tf.mul(tf.sigmoid(o), tf.tanh(cell));
    outputs.push(hidden);
  }
  const output = time === 0 ? tf.zeros([batch, 0, units]) : tf.stack(outputs, 1);
  return { output: output as tf.Tensor3D, finalHidden: tf.clone(hidden), finalCell: tf.clone(cell) };
}
