/** Training steps of models whose layer is applied again and again: forward, backward, Adam. No dropout. */

import { Adam, RandomStream, softmaxCrossEntropy } from '@fwp/core';
import { type ColumnLayerName, SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { numberOf, type ProgramTable } from './program.ts';
import { LEARNING_RATE, trainingSteps } from './training-programs.ts';
import { integers, uniform } from './values.ts';

/** Ours; PyTorch has the same equations with the same weights, so that the losses of the first steps agree. */
export const routingPrograms: ProgramTable = {
  'repeated layer step': (parameters) => {
    const of = (name: string): number => numberOf(parameters, name);
    const [batch, length] = [of('batch'), of('length')];
    const model = new SequenceClassifier({
      vocabularySize: of('vocabulary'),
      classes: of('classes'),
      size: of('width'),
      layers: of('layers'),
      layer: { name: parameters['layer'] as ColumnLayerName, hiddenSize: of('feedForward'), heads: of('heads') },
      positionDropout: 0,
      random: new RandomStream(1),
    });
    numberWeights(model);
    const tokens = tf.tensor2d(integers(batch * length, 3, of('vocabulary')), [batch, length], 'int32');
    const targets = tf.tensor1d(integers(batch, 4, of('classes')), 'int32');
    const optimizer = new Adam(model, { learningRate: LEARNING_RATE });
    const step = (): tf.Scalar =>
      optimizer.minimize(() => softmaxCrossEntropy(model.forward(tokens), targets) as tf.Scalar);
    return trainingSteps(step, () => {
      optimizer.dispose();
      model.dispose();
      tf.dispose([tokens, targets]);
    });
  },
};

/** Matrices get numbered seeds in the order of their names, biases become 0, but for that of a gate; gains stay 1. */
function numberWeights(model: SequenceClassifier): void {
  let seed = 100;
  for (const [path, variable] of model.namedParameters()) {
    tf.tidy(() => {
      if (variable.rank === 2) {
        const scale = 1 / Math.sqrt(variable.shape[0] as number);
        variable.assign(tf.tensor(uniform(variable.size, seed++, scale), variable.shape));
      } else if (path.toLowerCase().endsWith('bias') && path !== 'layer.gateOutput.bias') {
        variable.assign(tf.zeros(variable.shape));
      }
    });
  }
}
