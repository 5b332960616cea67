/**
 * What the ways to compute an e-LSTM's gradient have in common, so that one can take another's place: a learner goes through
 * sequences piece by piece, carries the state from one piece to the next, and gives gradients for each piece that has a loss.
 * The caller's optimiser makes the updates: after each step, after each segment, or after whole sequences.
 */

import { assertCount, assertFloatShape, assertShape, assertTensor, type ElementwiseLstm, Module } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of every learner. */
export interface ElstmLearnerOptions {
  /** The layer whose recurrence is learned. */
  layer: ElementwiseLstm;
  /** The model that the layer is a part of; the gradients are those of its parameters. Default: the layer alone. */
  model?: Module;
  /** Sequences side by side. */
  batchSize: number;
}

/** Options of a segment. */
export interface SegmentOptions {
  /** bool `[batchSize, time]`: true where a new sequence begins. Default: nowhere. */
  resetMask?: tf.Tensor | undefined;
}

/** Options of a step. */
export interface LearnerStepOptions {
  /** bool `[batchSize]`: true where a new sequence begins. Default: nowhere. */
  reset?: tf.Tensor | undefined;
}

/**
 * The loss of a segment: a sum over its steps.
 *
 * @param output h of the layer, `[batchSize, time, hiddenSize]`
 * @param finalState c behind the segment, `[batchSize, hiddenSize]`, of which no gradient is taken
 */
export type SegmentLoss = (output: tf.Tensor3D, finalState: tf.Tensor2D) => tf.Scalar;

/** What a learner gives for a segment; the caller disposes of it (`tf.dispose(result)`). */
export type SegmentResult = {
  /** h of the layer, `[batchSize, time, hiddenSize]`. */
  output: tf.Tensor3D;
  /** The loss; undefined if there was none. */
  loss: tf.Scalar | undefined;
  /** By tfjs names of the variables, as `Optimizer.step` takes them; empty if there was no loss. */
  gradients: tf.NamedTensorMap;
};

/** A {@link SegmentResult} of one step. */
export type StepResult = Omit<SegmentResult, 'output'> & {
  /** h of the layer, `[batchSize, hiddenSize]`. */
  output: tf.Tensor2D;
};

/** Base class of the learners. It is a module because its state belongs into checkpoints; it has no parameters of its own. */
export abstract class ElstmLearner extends Module {
  readonly layer: ElementwiseLstm;
  readonly model: Module;
  readonly batchSize: number;
  /** c of the layer, `[batchSize, hiddenSize]`. */
  readonly state: tf.Variable & tf.Tensor2D;

  protected constructor({ layer, model = layer, batchSize }: ElstmLearnerOptions) {
    super();
    assertCount('ElstmLearner: batchSize', batchSize);
    const variables = model.parameters();
    if (!layer.parameters().every((parameter) => variables.includes(parameter))) {
      throw new RangeError('ElstmLearner: layer must be a part of model. Add it there with addModule().');
    }
    this.layer = layer;
    this.model = model;
    this.batchSize = batchSize;
    this.state = this.addBuffer('state', tf.zeros([batchSize, layer.hiddenSize]) as tf.Tensor2D);
  }

  /**
   * Goes through a piece of the sequences.
   *
   * @param x float32 `[batchSize, time, inputSize]`
   * @param loss of the piece; without one, nothing but the state goes on
   * @param options where sequences begin
   * @throws TypeError or RangeError if an argument has another dtype or shape
   */
  segment(x: tf.Tensor3D, loss?: SegmentLoss, { resetMask }: SegmentOptions = {}): SegmentResult {
    const { inputSize } = this.layer;
    const sizes = assertFloatShape('segment: x', x, [this.batchSize, 'time', inputSize]);
    if (resetMask !== undefined) {
      assertTensor('segment: resetMask', resetMask, 'bool');
      assertShape('segment: resetMask', resetMask, [this.batchSize, 'time'], sizes);
    }
    return tf.tidy(
      () => this.learn(x, loss, resetMask) as unknown as tf.TensorContainerObject,
    ) as unknown as SegmentResult;
  }

  /**
   * One element of a stream: {@link segment} of one step.
   *
   * @param x float32 `[batchSize, inputSize]`
   * @param loss of this step, for h `[batchSize, hiddenSize]`
   * @param options whether sequences begin here
   */
  step(
    x: tf.Tensor2D,
    loss?: (output: tf.Tensor2D, finalState: tf.Tensor2D) => tf.Scalar,
    { reset }: LearnerStepOptions = {},
  ): StepResult {
    assertFloatShape('step: x', x, [this.batchSize, this.layer.inputSize]);
    if (reset !== undefined) assertShape('step: reset', reset, [this.batchSize]);
    const ofStep: SegmentLoss | undefined = loss && ((output, finalState) => loss(tf.squeeze(output, [1]), finalState));
    const run = () => {
      const resetMask = reset && tf.expandDims(reset, 1);
      const { output, ...rest } = this.segment(tf.expandDims(x, 1), ofStep, { resetMask });
      return { output: tf.squeeze(output, [1]), ...rest } as unknown as tf.TensorContainerObject;
    };
    return tf.tidy(run) as unknown as StepResult;
  }

  /** Forgets everything: all sequences begin anew with the next element. */
  reset(): void {
    for (const buffer of this.namedBuffers().values()) tf.tidy(() => buffer.assign(tf.zeros(buffer.shape)));
  }

  /** {@link segment} with checked arguments, in a tidy. */
  protected abstract learn(
    x: tf.Tensor3D,
    loss: SegmentLoss | undefined,
    resetMask: tf.Tensor | undefined,
  ): SegmentResult;
}

/**
 * A forward pass, its loss and its gradients with respect to tensors, whatever else the loss depends on being constant.
 *
 * @param forward makes tensors that outlive the gradient's scope
 * @param loss of them
 * @param sources tensors that the loss depends on; one that it does not depend on has a gradient of zeros
 */
export function lossAndGradients<T extends tf.Tensor[]>(
  forward: () => T,
  loss: (...results: T) => tf.Scalar,
  sources: readonly tf.Tensor[],
): { results: T; loss: tf.Scalar; gradients: tf.Tensor[] } {
  let kept: readonly tf.Tensor[] = [];
  try {
    const run = () => {
      const results = forward();
      kept = results.map((result) => tf.keep(result));
      const value = loss(...results);
      assertShape('The loss', value, []);
      return value;
    };
    const { value, grads } = tf.engine().gradients(run, [...sources], undefined, true);
    const gradients = grads.map((gradient, i) => gradient ?? tf.zerosLike(sources[i] as tf.Tensor));
    return { results: kept.map((result) => result.clone()) as unknown as T, loss: value as tf.Scalar, gradients };
  } finally {
    for (const result of kept) result.dispose();
  }
}
