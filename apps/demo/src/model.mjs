/** A causal Transformer over symbols: embedding, pre-norm blocks, a last normalisation, scores of the next symbol. */

import { Embedding, LayerNorm, Linear, Module, TransformerBlock } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** The demonstration's model. */
export class Transformer extends Module {
  /**
   * @param {{ vocabularySize: number, size: number, heads: number, layers: number, random: import('@fwp/core').RandomStream }} options
   */
  constructor({ vocabularySize, size, heads, layers, random }) {
    super();
    const mixer = { heads, causal: true, positions: 'rotary' };
    this.embedding = this.addModule('embedding', new Embedding({ vocabularySize, size, random }));
    this.blocks = this.addModules(
      'blocks',
      Array.from({ length: layers }, () => new TransformerBlock({ size, mixer, random })),
    );
    this.norm = this.addModule('norm', new LayerNorm({ size }));
    this.output = this.addModule('output', new Linear({ inputSize: size, outputSize: vocabularySize, random }));
  }

  /**
   * @param {tf.Tensor2D} symbols int32 `[batch, length]`
   * @returns {tf.Tensor3D} scores of the next symbol at every place, `[batch, length, vocabularySize]`
   */
  forward(symbols) {
    return tf.tidy(() => {
      let x = this.embedding.forward(symbols);
      for (const block of this.blocks) x = block.apply(x);
      return this.output.forward(this.norm.forward(x));
    });
  }
}
