/**
 * LSTM with elementwise recurrence (e-LSTM; Irie, Gopalakrishnan and Schmidhuber 2023, section 3.1). The cell is (see
 * `ops/elementwise-lstm.ts`)
 *
 *     z_t = tanh(x_t Wz + wz ∘ c_{t−1} + bz)    f_t = σ(x_t Wf + wf ∘ c_{t−1} + bf)    c_t = f_t ∘ c_{t−1} + (1 − f_t) ∘ z_t
 *
 * and what is read from it is
 *
 *     o_t = σ([x_t, c_t] Wo + bo)               h_t = o_t ∘ c_t
 *
 * x [batch, length, inputSize]; (Wz, Wf) [inputSize, 2 · hiddenSize]; (wz, wf) and (bz, bf) [2 · hiddenSize];
 * Wo [inputSize + hiddenSize, hiddenSize]; output h [batch, length, hiddenSize]. Units of a cell do not see each other, only
 * their own state; the output gate, which is no part of the recurrence, sees all of them.
 *
 * Default initialisation, as the authors': N(0, 0.1²) for the cell, biases included, and that of `Linear` for the output gate.
 */

import {
  add,
  concat,
  mul,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  tensor1d,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { type ElementwiseLstmWeights, elementwiseLstm, elementwiseLstmStep } from '../ops/elementwise-lstm.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape, assertNumber } from '../shape-checks.ts';
import { type Initializer, normalInitializer } from './initializers.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import { assertNoPadding, assertPaddingAtEnd, type MixerOptions, type SequenceMixer } from './sequence-mixer.ts';

/** Options of {@link ElementwiseLstm}. */
export interface ElementwiseLstmLayerOptions {
  /** Size of an input vector. */
  inputSize: number;
  /** Size of c and h. */
  hiddenSize: number;
  /** Added to the initial bias of the forget gate: at 0 a unit forgets half of its state at every step. Default 0. */
  forgetBias?: number;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of the cell's parameters. Default: normal with a standard deviation of 0.1. */
  cellInitializer?: Initializer;
}

/** c, `[batch, hiddenSize]`. */
export type ElementwiseLstmState = {
  cell: Tensor2D;
};

/** A layer whose recurrence is elementwise, and its output gate. */
export class ElementwiseLstm extends Module implements SequenceMixer<ElementwiseLstmState> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly outputSize: number;
  /** `[inputSize, 2 · hiddenSize]`, z's part first. */
  readonly inputWeight: Variable & Tensor2D;
  /** `[2 · hiddenSize]`. */
  readonly recurrentWeight: Variable & Tensor1D;
  /** `[2 · hiddenSize]`. */
  readonly bias: Variable & Tensor1D;
  /** From `[x, c]` to o. */
  readonly outputGate: Linear;

  constructor(options: ElementwiseLstmLayerOptions) {
    super();
    const { inputSize, hiddenSize, forgetBias = 0, random, cellInitializer = normalInitializer(0.1) } = options;
    assertCount('ElementwiseLstm: inputSize', inputSize);
    assertCount('ElementwiseLstm: hiddenSize', hiddenSize);
    assertNumber('ElementwiseLstm: forgetBias', forgetBias);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.outputSize = hiddenSize;
    const columns = 2 * hiddenSize;
    try {
      this.inputWeight = this.addParameter('inputWeight', cellInitializer([inputSize, columns], random) as Tensor2D);
      this.recurrentWeight = this.addParameter('recurrentWeight', cellInitializer([columns], random) as Tensor1D);
      const forget = Float32Array.from({ length: columns }, (_, i) => (i < hiddenSize ? 0 : forgetBias));
      const bias = tidy(() => add<Tensor1D>(cellInitializer([columns], random), tensor1d(forget)));
      this.bias = this.addParameter('bias', bias);
      this.outputGate = this.addModule(
        'outputGate',
        new Linear({ inputSize: inputSize + hiddenSize, outputSize: hiddenSize, activation: 'sigmoid', random }),
      );
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** The parameters of the recurrence, as `elementwiseLstm` takes them. */
  cellWeights(): ElementwiseLstmWeights & { bias: Tensor } {
    return { inputWeight: this.inputWeight, recurrentWeight: this.recurrentWeight, bias: this.bias };
  }

  /**
   * What the output gate lets through, o ∘ c.
   *
   * @param x float32 `[..., inputSize]`
   * @param cell c behind x, float32 `[..., hiddenSize]`
   * @returns h `[..., hiddenSize]`
   */
  read<T extends Tensor>(x: T, cell: T): T {
    return tidy(() => mul(this.outputGate.forward(concat([x, cell] as Tensor[], -1)), cell) as T);
  }

  /**
   * @param x float32 `[batch, length, inputSize]`
   * @param options padding must lie at the end of sequences
   * @returns float32 `[batch, length, hiddenSize]`
   */
  apply(x: Tensor3D, options: MixerOptions = {}): Tensor3D {
    const sizes = this.#assertInput(x);
    assertPaddingAtEnd('ElementwiseLstm', options, sizes);
    return tidy(() => this.read(x, elementwiseLstm(x, this.cellWeights()).output));
  }

  /**
   * @param x float32 `[batch, length, inputSize]`
   * @param state c before x; default: zeros
   * @param options no padding here: the state behind it would be that of the padding
   */
  forward(
    x: Tensor3D,
    state?: ElementwiseLstmState,
    options: MixerOptions = {},
  ): { output: Tensor3D; state: ElementwiseLstmState } {
    const { batch } = this.#assertInput(x);
    assertNoPadding('ElementwiseLstm', options);
    if (state !== undefined) this.#assertState(state, batch);
    return tidy(() => {
      const { output, finalState } = elementwiseLstm(x, this.cellWeights(), { initialState: state?.cell });
      return { output: this.read(x, output), state: { cell: finalState } };
    });
  }

  /**
   * @param x float32 `[batch, inputSize]`
   * @param state c before x
   */
  step(x: Tensor2D, state: ElementwiseLstmState): { output: Tensor2D; state: ElementwiseLstmState } {
    const { batch } = assertFloatShape('ElementwiseLstm: x', x, ['batch', this.inputSize]) as { batch: number };
    this.#assertState(state, batch);
    return tidy(() => {
      const cell = elementwiseLstmStep(x, this.cellWeights(), state.cell);
      return { output: this.read(x, cell), state: { cell } };
    });
  }

  /** Zeros. */
  initialState(batch: number): ElementwiseLstmState {
    assertCount('ElementwiseLstm: batch', batch, 0);
    return { cell: zeros([batch, this.hiddenSize]) };
  }

  #assertInput(x: Tensor3D): { batch: number; length: number } {
    const extents = assertFloatShape('ElementwiseLstm: x', x, ['batch', 'length', this.inputSize]);
    return extents as { batch: number; length: number };
  }

  #assertState(state: ElementwiseLstmState, batch: number): void {
    assertFloatShape('ElementwiseLstm: state.cell', state.cell, [batch, this.hiddenSize]);
  }
}
