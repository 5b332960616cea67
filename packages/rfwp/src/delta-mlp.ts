/**
 * The Delta MLP (Irie, Schlag, Csordás, Schmidhuber, 2021, section 3.1 and appendix A): a DeltaNet whose fast net is deep. For
 * each head, h = q at first, then `depth` blocks
 *
 *     h ← h + U_t φ(W_t φ(LayerNorm(h)))        W and U written by the delta rule        output = W_o [h of all heads]
 *
 * with φ = (ELU + 1) / Σ (ELU + 1) for keys too. x [batch, length, size], W [hiddenSize, headSize], U [headSize, hiddenSize],
 * hiddenSize = 4 size / heads. Gain and bias of each block's LayerNorm are slow weights, the same for all heads. Of x come
 * the query and, for each of the matrices, a key, a value and β. (The authors' program makes twice as many keys and values, and
 * uses half of them.)
 */

import { assertCount, assertNumber, deltaMlp, eluPlusOne } from '@fwp/core';
import type { Passage, ShapesOf } from '@fwp/deltanet';
import {
  ones,
  sigmoid,
  squeeze,
  stack,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  type Tensor5D,
  unstack,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { FastNetLayer, type FastNetLayerOptions, type FeatureOptions } from './fast-net-layer.ts';

/** Options of {@link DeltaMlp}; values are as large as queries. */
export interface DeltaMlpLayerOptions extends Omit<FastNetLayerOptions, 'valueSize'>, Pick<FeatureOptions, 'epsilon'> {
  /** Number of blocks. Default 1. */
  depth?: number | undefined;
  /** Hidden units of each head's fast net. Default 4 · size / heads. */
  hiddenSize?: number | undefined;
}

/** State of a {@link DeltaMlp}. */
export type DeltaMlpLayerState = {
  /** W of all blocks, `[batch, heads, depth, hiddenSize, headSize]`. */
  inward: Tensor5D;
  /** U of all blocks, `[batch, heads, depth, headSize, hiddenSize]`. */
  outward: Tensor5D;
};

/** The delta rule with a deep fast net. */
export class DeltaMlp extends FastNetLayer<DeltaMlpLayerState> {
  readonly depth: number;
  readonly hiddenSize: number;
  /** Gains of the blocks' LayerNorms, each `[headSize]`. */
  readonly gains: readonly (Variable & Tensor1D)[];
  /** Their biases. */
  readonly biases: readonly (Variable & Tensor1D)[];
  readonly #epsilon: number;

  constructor(options: DeltaMlpLayerOptions) {
    const { depth = 1, size, heads, epsilon = 1e-6 } = options;
    const { hiddenSize = Math.max(1, Math.round((4 * size) / heads)) } = options;
    assertCount('DeltaMlp: depth', depth);
    assertCount('DeltaMlp: hiddenSize', hiddenSize);
    assertNumber('DeltaMlp: epsilon', epsilon, 0);
    super('DeltaMlp', options, ({ headSize }) => headSize + depth * (2 * (headSize + hiddenSize) + 2));
    this.depth = depth;
    this.hiddenSize = hiddenSize;
    this.#epsilon = epsilon;
    const parameters = (name: string, make: (shape: [number]) => Tensor1D) =>
      Array.from({ length: depth }, (_, block) => this.addParameter(`${name}${block}`, make([this.headSize])));
    this.gains = parameters('gain', (shape) => ones(shape));
    this.biases = parameters('bias', (shape) => zeros(shape));
  }

  protected override stateShapes(batch: number): ShapesOf<DeltaMlpLayerState> {
    const { heads, depth, headSize, hiddenSize } = this;
    return {
      inward: [batch, heads, depth, hiddenSize, headSize],
      outward: [batch, heads, depth, headSize, hiddenSize],
    };
  }

  protected override run({ x, state }: Passage<DeltaMlpLayerState>): { output: Tensor3D; state: DeltaMlpLayerState } {
    const { depth, headSize, hiddenSize } = this;
    // For each block: key, value and β of W, then those of U.
    const ofBlock = [headSize, hiddenSize, 1, hiddenSize, headSize, 1];
    const [q, ...parts] = this.parts(x, [headSize, ...Array.from({ length: depth }, () => ofBlock).flat()]);
    const features = { normalization: 'sum', epsilon: this.#epsilon } as const;
    const blocks = this.gains.map((gain, block) => {
      const writes = (first: number) => {
        const [k, v, b] = parts.slice(6 * block + first, 6 * block + first + 3) as [Tensor4D, Tensor4D, Tensor4D];
        return { k: eluPlusOne(k, features), v, beta: sigmoid(squeeze(b, [3])) };
      };
      return { inward: writes(0), outward: writes(3), gain, bias: this.biases[block] as Tensor1D };
    });
    const { output, finalState } = deltaMlp(q as Tensor4D, blocks, {
      initialState: state && statesOf(state),
      epsilon: this.#epsilon,
    });
    const [inward, outward] = (['inward', 'outward'] as const).map((name) =>
      stack(
        finalState.map((block) => block[name]),
        2,
      ),
    );
    return { output: this.finish(output), state: { inward, outward } as DeltaMlpLayerState };
  }
}

function statesOf({ inward, outward }: DeltaMlpLayerState) {
  const [ins, outs] = [unstack(inward, 2), unstack(outward, 2)];
  return ins.map((matrix, block) => ({ inward: matrix, outward: outs[block] as Tensor4D }));
}
