/**
 * The small model of the papers on recurrent and self-referential fast weights (Irie et al., 2021 and 2023): a label for each
 * symbol of a sequence,
 *
 *     logits_t = blocks(E[token])_t W + b            E ~ N(0, 1)
 *
 * tokens [batch, length], logits [batch, length, targetCount]. Blocks are sequence layers one after the other: Transformer blocks
 * around any mixer, or an LSTM as it is. No positions are added, and nothing is normalised behind the last block unless
 * `finalNorm` says so.
 */

import {
  assertCount,
  assertShape,
  assertTensor,
  Embedding,
  LayerNorm,
  Linear,
  type MixerOptions,
  Module,
  normalInitializer,
  type RandomStream,
  type SequenceMixer,
} from '@fwp/core';
import {
  expandDims,
  squeeze,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type TensorContainer,
  tidy,
} from '@tensorflow/tfjs-core';

/** Options of {@link SequenceTagger}. */
export interface SequenceTaggerOptions {
  /** Number of symbols. */
  vocabularySize: number;
  /** Number of labels. */
  targetCount: number;
  /** Size of the embeddings, which the first block takes. */
  size: number;
  /** Blocks, each with inputs of the size of the outputs before. The model takes them over. */
  blocks: readonly SequenceMixer[];
  /** Whether a LayerNorm follows the last block. Default false. */
  finalNorm?: boolean | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** States of all blocks. */
export type SequenceTaggerState = TensorContainer[];

/** Labels each symbol of a sequence. */
export class SequenceTagger extends Module {
  readonly embedding: Embedding;
  readonly blocks: readonly SequenceMixer[];
  readonly norm: LayerNorm | undefined;
  readonly scores: Linear;

  constructor({ vocabularySize, targetCount, size, blocks, finalNorm = false, random }: SequenceTaggerOptions) {
    super();
    assertCount('SequenceTagger: targetCount', targetCount);
    try {
      this.blocks = this.addModules('blocks', blocks);
      const initializer = normalInitializer(1);
      this.embedding = this.addModule('embedding', new Embedding({ vocabularySize, size, random, initializer }));
      const inputSize = blocks.at(-1)?.outputSize ?? size;
      if (finalNorm) this.norm = this.addModule('norm', new LayerNorm({ size: inputSize }));
      this.scores = this.addModule('scores', new Linear({ inputSize, outputSize: targetCount, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param tokens int32 `[batch, length]`
   * @param options padding
   * @returns logits, float32 `[batch, length, targetCount]`
   */
  apply(tokens: Tensor2D, options: MixerOptions = {}): Tensor3D {
    assertTokens(tokens, ['batch', 'length']);
    return tidy(() => {
      let x = this.embedding.forward(tokens) as Tensor3D;
      for (const block of this.blocks) x = block.apply(x, options);
      return this.#finish(x);
    });
  }

  /**
   * One symbol of a stream.
   *
   * @param tokens int32 `[batch]`
   * @param state what came before
   * @returns logits, float32 `[batch, targetCount]`, and the state behind the symbol
   */
  step(tokens: Tensor1D, state: SequenceTaggerState): { logits: Tensor2D; state: SequenceTaggerState } {
    assertTokens(tokens, ['batch']);
    if (state.length !== this.blocks.length) {
      throw new RangeError(`SequenceTagger: state is that of ${state.length} blocks instead of ${this.blocks.length}.`);
    }
    return tidy(() => {
      let x = this.embedding.forward(tokens) as Tensor2D;
      const next = this.blocks.map((block, i) => {
        const result = block.step(x, state[i] as TensorContainer);
        x = result.output;
        return result.state;
      });
      const logits = squeeze(this.#finish(expandDims(x, 1)), [1]) as Tensor2D;
      return { logits, state: next };
    });
  }

  /** The state before the first symbol. */
  initialState(batch: number): SequenceTaggerState {
    return this.blocks.map((block) => block.initialState(batch));
  }

  #finish(x: Tensor3D): Tensor3D {
    return this.scores.forward(this.norm === undefined ? x : this.norm.forward(x));
  }
}

function assertTokens(tokens: unknown, shape: readonly string[]): void {
  assertTensor('SequenceTagger: tokens', tokens, 'int32');
  assertShape('SequenceTagger: tokens', tokens, shape);
}
