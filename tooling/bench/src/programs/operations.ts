/**
 * Operations for which a library may have something better than a composition of basic ones. Each JavaScript peer
 * gives its own table, so that the programs are written once.
 */

import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';

/** Weights of one LSTM layer: gates in the order input, forget, cell, output. */
export interface LstmWeights {
  /** `[inputs, 4·hidden]` */
  readonly input: Variable;
  /** `[hidden, 4·hidden]` */
  readonly recurrent: Variable;
  /** `[4·hidden]` */
  readonly bias: Variable;
}

/** Does one training step: computes the loss, its gradient, and updates the variables. */
export type TrainingStep = (loss: () => Scalar) => Scalar;

/** What a peer's library offers. */
export interface Operations {
  /** x·Φ(x), with the error function. */
  gelu(x: Tensor): Tensor;
  /** Over the last axis, with scale and offset. */
  layerNorm(x: Tensor, scale: Tensor, offset: Tensor): Tensor;
  /** `softmax(x)` over the last axis. */
  softmax(x: Tensor): Tensor;
  /** Rows of `table` `[entries, width]` at `indices` (int32). */
  embedding(table: Tensor, indices: Tensor): Tensor;
  /** `x·weight + bias`, then max(0, ·) if asked; `x` is `[…, inputs]`, `weight` `[inputs, outputs]`. */
  linear(x: Tensor, weight: Tensor, bias: Tensor, relu?: boolean): Tensor;
  /** Causal attention: `[batch, length, 3, heads, width]` (queries, keys, values) → `[batch, length, heads, width]`. */
  selfAttention(projected: Tensor): Tensor;
  /** Mean cross-entropy of `logits` `[rows, classes]` at `labels` (int32). */
  crossEntropy(logits: Tensor, labels: Tensor): Scalar;
  /** `[batch, length, inputs]` → `[batch, length, hidden]`, from a state of zeros. */
  lstm(x: Tensor, weights: LstmWeights): Tensor;
  /** Adam with β = (0.9, 0.999) and ε = 1e-8. */
  adam(variables: Variable[], learningRate: number): { step: TrainingStep; dispose(): void };
}
