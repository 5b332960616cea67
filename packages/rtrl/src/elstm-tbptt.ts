/**
 * Backpropagation through time, truncated where segments begin: the state is carried on, the gradient stops there. With whole
 * sequences as segments nothing is truncated, and it is the gradient that real-time recurrent learning gives too, for memory
 * that grows with the length of the segment.
 */

import { elementwiseLstm } from '@fwp/core';
import type * as tf from '@tensorflow/tfjs-core';
import {
  ElstmLearner,
  type ElstmLearnerOptions,
  lossAndGradients,
  type SegmentLoss,
  type SegmentResult,
} from './elstm-learner.ts';

/** Learns an e-LSTM by backpropagation through the steps of a segment: TBPTT(M) with segments of M steps. */
export class ElstmTbptt extends ElstmLearner {
  /** @param options layer, model and batch size */
  constructor(options: ElstmLearnerOptions) {
    super(options);
  }

  protected override learn(
    x: tf.Tensor3D,
    loss: SegmentLoss | undefined,
    resetMask: tf.Tensor | undefined,
  ): SegmentResult {
    const { layer } = this;
    const initialState = this.state.clone();
    const forward = (): [tf.Tensor3D, tf.Tensor2D] => {
      const { output: cells, finalState } = elementwiseLstm(x, layer.cellWeights(), { initialState, resetMask });
      return [layer.read(x, cells), finalState];
    };
    if (loss === undefined) {
      const [output, finalState] = forward();
      this.state.assign(finalState);
      return { output, loss: undefined, gradients: {} };
    }
    const parameters = this.model.parameters();
    const result = lossAndGradients(forward, loss, parameters);
    const [output, finalState] = result.results;
    this.state.assign(finalState);
    const gradients: tf.NamedTensorMap = {};
    for (const [i, { name }] of parameters.entries()) gradients[name] = result.gradients[i] as tf.Tensor;
    return { output, loss: result.loss, gradients };
  }
}
