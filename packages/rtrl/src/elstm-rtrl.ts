/**
 * Real-time recurrent learning of an e-LSTM, exact and in constant memory (Irie, Gopalakrishnan and Schmidhuber 2023, section 3;
 * the equations are those of `elementwiseLstmRtrl` in @fwp/core). The gradient of a segment is
 *
 *     recurrence        Σ_t e_t ∘ S_t,   e_t = ∂L_t/∂c_t through output gate and heads of step t alone,   S_t = ∂c_t/∂W
 *     all the rest      ∂L_t/∂θ by ordinary backpropagation within step t
 *
 * S_t [batchSize, inputSize + 2, 2 · hiddenSize] is carried from step to step and sums up everything since the sequence began.
 *
 * Limits. It is exact for one layer: the state of a second one depends on all units of the first, whose sensitivities are
 * then no longer elementwise. What comes before the layer gets no gradient. And where weights change within a sequence, S has
 * been summed up with the weights of before: it is the gradient of a sequence of different networks, as in all online learning.
 */

import { elementwiseLstmRtrl, elementwiseLstmTrace } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import {
  ElstmLearner,
  type ElstmLearnerOptions,
  lossAndGradients,
  type SegmentLoss,
  type SegmentResult,
} from './elstm-learner.ts';

/**
 * Learns an e-LSTM by real-time recurrent learning.
 *
 * Updates may follow every {@link step} (online), every {@link segment} or, with the gradients added up, every sequence: the sum
 * of the gradients of pieces is that of the whole as long as weights stay as they are.
 */
export class ElstmRtrl extends ElstmLearner {
  /** S, `[batchSize, inputSize + 2, 2 · hiddenSize]`: rows of the input weight, of the recurrent weight, of the bias. */
  readonly sensitivities: tf.Variable & tf.Tensor3D;

  constructor(options: ElstmLearnerOptions) {
    super(options);
    const { inputSize, hiddenSize } = this.layer;
    const initial = tf.zeros([this.batchSize, inputSize + 2, 2 * hiddenSize]) as tf.Tensor3D;
    this.sensitivities = this.addBuffer('sensitivities', initial);
  }

  protected override learn(
    x: tf.Tensor3D,
    loss: SegmentLoss | undefined,
    resetMask: tf.Tensor | undefined,
  ): SegmentResult {
    const { layer } = this;
    const weights = layer.cellWeights();
    const options = { initialState: this.state, resetMask };
    const trace = elementwiseLstmTrace(x, weights, options);
    const { output: cells, finalState } = trace;
    const cellParameters: tf.Tensor[] = [layer.inputWeight, layer.recurrentWeight, layer.bias];
    const others = this.model.parameters().filter((parameter) => !cellParameters.includes(parameter));
    let output = loss === undefined ? layer.read(x, cells) : undefined;
    let value: tf.Scalar | undefined;
    let errors: tf.Tensor | undefined;
    const gradients: tf.NamedTensorMap = {};
    if (loss !== undefined) {
      const result = lossAndGradients(
        (): [tf.Tensor3D] => [layer.read(x, cells)],
        (hidden) => loss(hidden, finalState),
        [cells, ...others],
      );
      output = result.results[0];
      value = result.loss;
      errors = result.gradients[0] as tf.Tensor;
      for (const [i, { name }] of others.entries()) gradients[name] = result.gradients[i + 1] as tf.Tensor;
    }
    const ofCell = elementwiseLstmRtrl(this.sensitivities, x, weights, trace, { ...options, errors });
    if (ofCell !== undefined) {
      gradients[layer.inputWeight.name] = ofCell.inputWeight;
      gradients[layer.recurrentWeight.name] = ofCell.recurrentWeight;
      gradients[layer.bias.name] = ofCell.bias;
    }
    this.state.assign(finalState);
    return { output: output as tf.Tensor3D, loss: value, gradients };
  }
}
