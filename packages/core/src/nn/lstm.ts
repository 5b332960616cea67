/**
 * Long short-term memory in layers, optionally in both directions. Each layer and direction is (see `ops/lstm.ts`)
 *
 *     z_t = x_t W + h_{t−1} R + b, cut into i, f, g, o
 *     c_t = σ(f) ∘ c_{t−1} + σ(i) ∘ tanh(g)        h_t = σ(o) ∘ tanh(c_t)
 *
 * x [batch, length, inputSize]; W [inputSize or what the layer below gives, 4 · hiddenSize], R [hiddenSize, 4 · hiddenSize],
 * b [4 · hiddenSize]. The output is h of the topmost layer, [batch, length, hiddenSize], or twice that, forward and
 * backward side by side. Sources: Hochreiter and Schmidhuber, 1997; Gers, Schmidhuber and Cummins, 2000; Graves and
 * Schmidhuber, 2005, for both directions.
 *
 * Default initialisation of everything: U(−1/√hiddenSize, 1/√hiddenSize), as PyTorch's `nn.LSTM` (which has two biases that
 * add up); `forgetBias` is added to b's forget part (Jozefowicz et al., 2015, recommend 1).
 */

import {
  add,
  concat,
  logicalNot,
  ones,
  reverse,
  slice,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  tensor1d,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { lstm, lstmStep } from '../ops/lstm.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape, assertNumber } from '../shape-checks.ts';
import { Dropout } from './dropout.ts';
import { type Initializer, uniformInitializer } from './initializers.ts';
import { Module } from './module.ts';
import { assertNoPadding, assertPaddingAtEnd, type MixerOptions, type SequenceMixer } from './sequence-mixer.ts';

/** Options of {@link Lstm}. */
export interface LstmLayerOptions {
  /** Size of an input vector. */
  inputSize: number;
  /** Size of h and c. */
  hiddenSize: number;
  /** Number of layers. Default 1. */
  layers?: number;
  /** Whether a second one reads each sequence backward. Default false. */
  bidirectional?: boolean;
  /** Whether there are biases. Default true. */
  bias?: boolean;
  /** Added to the initial bias of the forget gate. Default 0. */
  forgetBias?: number;
  /** Dropout rate between layers. Default 0. */
  dropout?: number;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of W and R. Default: uniform within ±1/√hiddenSize. */
  weightInitializer?: Initializer;
}

/** h and c of each layer, `[batch, hiddenSize]`, from the bottom up. */
export type LstmModuleState = {
  hidden: Tensor2D[];
  cell: Tensor2D[];
};

/** LSTM layers, one on top of the other. */
export class Lstm extends Module implements SequenceMixer<LstmModuleState> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly outputSize: number;
  /** Forward in time, from the bottom up. */
  readonly layers: readonly LstmCell[];
  /** Backward in time; empty unless bidirectional. */
  readonly reverseLayers: readonly LstmCell[];
  readonly #dropout: Dropout;

  constructor(options: LstmLayerOptions) {
    super();
    const { inputSize, hiddenSize, layers = 1, bidirectional = false, dropout = 0, random } = options;
    assertCount('Lstm: inputSize', inputSize);
    assertCount('Lstm: hiddenSize', hiddenSize);
    assertCount('Lstm: layers', layers);
    const directions = bidirectional ? 2 : 1;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.outputSize = directions * hiddenSize;
    const stack = (): LstmCell[] => {
      const cells: LstmCell[] = [];
      try {
        for (let i = 0; i < layers; i++) {
          cells.push(new LstmCell({ ...options, inputSize: i === 0 ? inputSize : directions * hiddenSize }));
        }
      } catch (error) {
        for (const cell of cells) cell.dispose();
        throw error;
      }
      return cells;
    };
    try {
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
      this.layers = this.addModules('layers', stack());
      this.reverseLayers = bidirectional ? this.addModules('reverseLayers', stack()) : [];
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[batch, length, inputSize]`
   * @param options padding must lie at the end of sequences
   * @returns float32 `[batch, length, outputSize]`
   */
  apply(x: Tensor3D, options: MixerOptions = {}): Tensor3D {
    const sizes = this.#assertInput(x);
    assertPaddingAtEnd('Lstm', options, sizes);
    return tidy(() => this.#run(x, undefined, options.paddingMask).output);
  }

  /**
   * @param x float32 `[batch, length, inputSize]`
   * @param state h and c before x; default: zeros
   * @param options no padding here: the state behind it would be that of the padding
   */
  forward(
    x: Tensor3D,
    state?: LstmModuleState,
    options: MixerOptions = {},
  ): { output: Tensor3D; state: LstmModuleState } {
    const { batch } = this.#assertInput(x);
    assertNoPadding('Lstm', options);
    if (state !== undefined) this.#assertState(state, batch);
    return tidy(() => this.#run(x, state, undefined));
  }

  /**
   * @param x float32 `[batch, inputSize]`
   * @param state h and c before x
   */
  step(x: Tensor2D, state: LstmModuleState): { output: Tensor2D; state: LstmModuleState } {
    const { batch } = assertFloatShape('Lstm: x', x, ['batch', this.inputSize]) as { batch: number };
    this.#assertState(state, batch);
    return tidy(() => {
      const next: LstmModuleState = { hidden: [], cell: [] };
      let input: Tensor2D = x;
      this.layers.forEach((layer, i) => {
        const before = { hidden: state.hidden[i] as Tensor2D, cell: state.cell[i] as Tensor2D };
        const { hidden, cell } = lstmStep(i === 0 ? input : this.#dropout.forward(input), layer.weights(), before);
        next.hidden.push(hidden);
        next.cell.push(cell);
        input = hidden;
      });
      return { output: input.clone(), state: next };
    });
  }

  /** Zeros. */
  initialState(batch: number): LstmModuleState {
    assertCount('Lstm: batch', batch, 0);
    const make = (): Tensor2D[] => this.layers.map(() => zeros([batch, this.hiddenSize]) as Tensor2D);
    return { hidden: make(), cell: make() };
  }

  #run(
    x: Tensor3D,
    state: LstmModuleState | undefined,
    paddingMask: Tensor | undefined,
  ): { output: Tensor3D; state: LstmModuleState } {
    const next: LstmModuleState = { hidden: [], cell: [] };
    const resetMask = paddingMask === undefined ? undefined : startsInReverse(paddingMask);
    let output = x;
    this.layers.forEach((layer, i) => {
      const input = i === 0 ? output : this.#dropout.forward(output);
      const forward = lstm(input, layer.weights(), { initialHidden: state?.hidden[i], initialCell: state?.cell[i] });
      next.hidden.push(forward.finalHidden);
      next.cell.push(forward.finalCell);
      output = forward.output;
      const reverseLayer = this.reverseLayers[i];
      if (reverseLayer !== undefined) {
        const backward = lstm(reverse(input, 1), reverseLayer.weights(), { resetMask });
        output = concat([forward.output, reverse(backward.output, 1)], 2);
      }
    });
    return { output, state: next };
  }

  #assertInput(x: Tensor3D): { batch: number; length: number } {
    return assertFloatShape('Lstm: x', x, ['batch', 'length', this.inputSize]) as { batch: number; length: number };
  }

  #assertState(state: LstmModuleState, batch: number): void {
    if (this.reverseLayers.length > 0) {
      throw new Error(
        'Lstm: a bidirectional one cannot go on from a state, as earlier outputs depend on what follows.',
      );
    }
    for (const name of ['hidden', 'cell'] as const) {
      if (state[name].length !== this.layers.length) {
        throw new RangeError(`Lstm: state.${name} has ${state[name].length} layers instead of ${this.layers.length}.`);
      }
      for (const tensor of state[name]) assertFloatShape(`Lstm: state.${name}`, tensor, [batch, this.hiddenSize]);
    }
  }
}

/** Parameters of one layer and direction of an {@link Lstm}; gates in the order of `lstm`. */
export class LstmCell extends Module {
  /** `[inputSize, 4 · hiddenSize]`. */
  readonly inputWeight: Variable & Tensor2D;
  /** `[hiddenSize, 4 · hiddenSize]`. */
  readonly recurrentWeight: Variable & Tensor2D;
  /** `[4 · hiddenSize]`; undefined without biases. */
  readonly bias: (Variable & Tensor1D) | undefined;

  constructor({ inputSize, hiddenSize, bias = true, forgetBias = 0, random, weightInitializer }: LstmLayerOptions) {
    super();
    assertNumber('Lstm: forgetBias', forgetBias);
    const uniform = uniformInitializer(1 / Math.sqrt(hiddenSize));
    const make = weightInitializer ?? uniform;
    this.inputWeight = this.addParameter('inputWeight', make([inputSize, 4 * hiddenSize], random) as Tensor2D);
    this.recurrentWeight = this.addParameter('recurrentWeight', make([hiddenSize, 4 * hiddenSize], random) as Tensor2D);
    if (bias) {
      const forget = Float32Array.from({ length: 4 * hiddenSize }, (_, i) =>
        Math.floor(i / hiddenSize) === 1 ? forgetBias : 0,
      );
      const initial = tidy(() => add<Tensor1D>(uniform([4 * hiddenSize], random), tensor1d(forget)));
      this.bias = this.addParameter('bias', initial);
    }
  }

  weights(): { inputWeight: Tensor; recurrentWeight: Tensor; bias: Tensor | undefined } {
    return { inputWeight: this.inputWeight, recurrentWeight: this.recurrentWeight, bias: this.bias };
  }
}

/** For sequences with padding at the end, read backward: true behind padding, where the sequence begins. */
function startsInReverse(paddingMask: Tensor): Tensor {
  const [batch, length] = paddingMask.shape as [number, number];
  if (length === 0) return paddingMask;
  const reversed = reverse(paddingMask, 1);
  const isPaddingBefore = logicalNot(slice(reversed, [0, 0], [batch, length - 1]));
  return concat([ones([batch, 1], 'bool'), isPaddingBefore], 1);
}
