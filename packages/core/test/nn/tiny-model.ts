/** A small Transformer language model with everything that a checkpoint must hold, and its task: repeat a sequence. */

import * as tf from '@tensorflow/tfjs-core';
import {
  AdamW,
  Dropout,
  Embedding,
  isVector,
  LayerNorm,
  Linear,
  Module,
  type RandomStream,
  randomIntegers,
  softmaxCrossEntropy,
  TransformerBlock,
  warmupCosine,
} from '../../src/index.ts';

const VOCABULARY = 7;
const SIZE = 12;

/** Embedding, two blocks with dropout, normalisation, scores. */
export class TinyModel extends Module {
  readonly embedding: Embedding;
  readonly dropout: Dropout;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: LayerNorm;
  readonly scores: Linear;

  constructor(random: RandomStream, dropout = 0.1) {
    super();
    this.embedding = this.addModule('embedding', new Embedding({ vocabularySize: VOCABULARY, size: SIZE, random }));
    this.dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    this.blocks = this.addModules(
      'blocks',
      (['none', 'relative'] as const).map(
        (positions) =>
          new TransformerBlock({
            size: SIZE,
            mixer: { heads: 2, positions },
            feedForward: { hiddenSize: 16, activation: 'swiglu', dropout },
            dropout,
            random,
          }),
      ),
    );
    this.norm = this.addModule('norm', new LayerNorm({ size: SIZE }));
    this.scores = this.addModule('scores', new Linear({ inputSize: SIZE, outputSize: VOCABULARY, random }));
  }

  forward(ids: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      let x = this.dropout.forward(this.embedding.forward(ids)) as tf.Tensor3D;
      for (const block of this.blocks) x = block.apply(x);
      return this.scores.forward(this.norm.forward(x));
    });
  }
}

/** The optimiser with everything on: schedule, clipping, groups. */
export function makeOptimizer(model: Module): AdamW {
  return new AdamW(model, {
    learningRate: 0.01,
    schedule: warmupCosine(5, 1000),
    weightDecay: 0.1,
    clipNorm: 1,
    groups: [{ match: isVector, weightDecay: 0 }],
  });
}

/** One update on random data; returns the loss. */
export function trainStep(model: TinyModel, optimizer: AdamW, data: RandomStream): number {
  return tf.tidy(() => {
    const ids = randomIntegers(data, [4, 8], 0, VOCABULARY);
    // The token before, which attention has to find.
    const targets = tf.concat([tf.slice(ids, [0, 0], [4, 1]), tf.slice(ids, [0, 0], [4, 7])], 1);
    return optimizer
      .minimize(() => softmaxCrossEntropy(model.forward(ids), targets) as tf.Scalar)
      .dataSync()[0] as number;
  });
}
