/**
 * A few-shot learner (Irie, Schlag, Csordás and Schmidhuber, 2022, section 4.1): a sequence model that reads examples with
 * their labels, and learns from them while it reads.
 *
 *     h_t = [stem(example_t), onehot(label_t)] W_in + b_in        logits_t = blocks(h)_t W_out + b_out
 *
 * example [batch, length, …shape], label [batch, length], logits [batch, length, ways]. Labels are 0 … ways − 1, and `ways`
 * for what is not known, a query's or, with delayed labels, the first. Without a stem examples are vectors. Whatever is
 * learned is in the state of the blocks, so that several sequences can go on from one state.
 */

import {
  assertCount,
  assertFloatShape,
  assertIndices,
  assertShape,
  assertTensor,
  inTidy,
  type Layer,
  Linear,
  Module,
  type RandomStream,
  type SequenceMixer,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link FewShotModel}. */
export interface FewShotModelOptions {
  /** Shape of an example. */
  shape: readonly number[];
  /** Number of labels. */
  ways: number;
  /** Size of the vectors that blocks work on. */
  size: number;
  /** Blocks from vectors of `size` on, each with inputs of the size of the outputs before. The model takes them over. */
  blocks: readonly SequenceMixer[];
  /** Makes a vector of an example. The model takes it over. Default: none; `shape` is `[features]` then. */
  stem?: (Layer & { readonly outputSize: number }) | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** States of all blocks. */
export type FewShotState = tf.TensorContainer[];

/** Reads labelled examples, and predicts labels. */
export class FewShotModel extends Module {
  readonly shape: readonly number[];
  readonly ways: number;
  readonly stem: (Layer & { readonly outputSize: number }) | undefined;
  readonly input: Linear;
  readonly blocks: readonly SequenceMixer[];
  readonly output: Linear;

  constructor({ shape, ways, size, blocks, stem, random }: FewShotModelOptions) {
    super();
    assertCount('FewShotModel: ways', ways);
    assertCount('FewShotModel: size', size);
    this.shape = shape;
    this.ways = ways;
    try {
      this.blocks = this.addModules('blocks', blocks);
      if (stem !== undefined) this.stem = this.addModule('stem', stem);
      else if (shape.length !== 1) {
        throw new RangeError(
          `FewShotModel: examples of shape [${shape.join(', ')}] need a stem that makes vectors of them.`,
        );
      }
      const features = stem?.outputSize ?? (shape[0] as number);
      this.input = this.addModule('input', new Linear({ inputSize: features + ways + 1, outputSize: size, random }));
      const inputSize = blocks.at(-1)?.outputSize ?? size;
      this.output = this.addModule('output', new Linear({ inputSize, outputSize: ways, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param examples float32 `[batch, length, …shape]`
   * @param labels int32 `[batch, length]`, each 0 … ways, where `ways` is unknown
   * @param state what was read before; default: nothing
   * @returns logits `[batch, length, ways]`, and the state behind the last example
   * @throws TypeError or RangeError if an argument has another dtype or shape, or, on a CPU, if a label is not in 0 … ways
   */
  forward(examples: tf.Tensor, labels: tf.Tensor, state?: FewShotState): { logits: tf.Tensor3D; state: FewShotState } {
    this.#assertInputs(examples, labels);
    if (state !== undefined && state.length !== this.blocks.length) {
      throw new RangeError(`FewShotModel: state is that of ${state.length} blocks instead of ${this.blocks.length}.`);
    }
    return inTidy(() => {
      let x = this.#embed(examples, labels);
      const next = this.blocks.map((block, index) => {
        const result = block.forward(x, state?.[index]);
        x = result.output;
        return result.state;
      });
      return { logits: this.output.forward(x), state: next };
    });
  }

  /** The logits alone, without the cost of a state. */
  apply(examples: tf.Tensor, labels: tf.Tensor): tf.Tensor3D {
    this.#assertInputs(examples, labels);
    return tf.tidy(() =>
      this.output.forward(this.blocks.reduce((x, block) => block.apply(x), this.#embed(examples, labels))),
    );
  }

  #assertInputs(examples: tf.Tensor, labels: tf.Tensor): void {
    const sizes = assertFloatShape('FewShotModel: examples', examples, ['batch', 'length', ...this.shape]);
    assertTensor('FewShotModel: labels', labels, 'int32');
    assertShape('FewShotModel: labels', labels, ['batch', 'length'], sizes);
    const { ways } = this;
    assertIndices(
      'FewShotModel: labels',
      labels,
      ways + 1,
      `labels are below ways = ${ways}, and ${ways} where unknown.`,
    );
  }

  #embed(examples: tf.Tensor, labels: tf.Tensor): tf.Tensor3D {
    const features = this.stem === undefined ? examples : this.stem.forward(examples);
    const shown = tf.oneHot(labels as tf.Tensor2D, this.ways + 1, 1, 0, 'float32');
    return this.input.forward(tf.concat([features, shown], 2) as tf.Tensor3D);
  }
}
