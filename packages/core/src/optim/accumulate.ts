/** Gradients of a large batch from several small ones: their weighted mean, without holding the small ones. */

import {
  add,
  variable as makeVariable,
  mul,
  type NamedTensorMap,
  type Tensor,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { overwriting } from '../backend/overwrites.ts';
import { assertNumber, assertTensor } from '../shape-checks.ts';
import { activeEngineBackend, runOnList } from './tensor-list.ts';

/**
 * Sums gradients over micro-batches.
 *
 *     const accumulator = new GradientAccumulator();
 *     for (const part of batch) accumulator.add(tf.variableGrads(() => loss(part)).grads);
 *     optimizer.step(accumulator.mean());
 *     accumulator.reset();
 *
 * With losses that are means over equally large micro-batches, this equals one step on the large batch; for other
 * sizes give each its number of examples as weight. `optimizer.minimize(loss, { microBatches })` does all that.
 */
export class GradientAccumulator {
  readonly #sums = new Map<string, Variable>();
  #totalWeight = 0;

  /** Sum of the weights so far. */
  get totalWeight(): number {
    return this.#totalWeight;
  }

  /**
   * Adds gradients.
   *
   * @param gradients float32 tensors by name; they stay the caller's
   * @param weight their weight in the mean, for example the number of examples. Default 1
   */
  add(gradients: Readonly<NamedTensorMap>, weight = 1): void {
    assertNumber('GradientAccumulator: weight', weight, 0);
    const entries = Object.entries(gradients).filter(([, gradient]) => gradient !== null && gradient !== undefined);
    for (const [name, gradient] of entries) {
      assertTensor(`GradientAccumulator: gradient '${name}'`, gradient, 'float32');
      const sum = this.#sums.get(name);
      if (sum !== undefined && sum.shape.join() !== gradient.shape.join()) {
        throw new RangeError(
          `The gradient '${name}' has shape [${gradient.shape.join(', ')}], but [${sum.shape.join(', ')}] before.`,
        );
      }
    }
    for (const [name, gradient] of entries) {
      if (!this.#sums.has(name))
        this.#sums.set(
          name,
          tidy(() => makeVariable(zeros(gradient.shape), false)),
        );
    }
    const backend = activeEngineBackend();
    if (backend === undefined) {
      for (const [name, gradient] of entries) {
        const sum = this.#sums.get(name) as Variable;
        tidy(() => sum.assign(add(sum, mul(gradient, weight))));
      }
    } else {
      overwriting(backend, (overwrites) => {
        const rows = entries.map(([name, gradient]) => {
          const fromAndTo = overwrites.fromAndTo(this.#sums.get(name) as Variable);
          return [gradient.size, backend.offsetOf(gradient), ...fromAndTo];
        });
        runOnList(backend, 'add_scaled', rows, [weight]);
      });
    }
    this.#totalWeight += weight;
  }

  /** The sums of weight · gradient by name; they stay the accumulator's. */
  sums(): NamedTensorMap {
    return Object.fromEntries(this.#sums);
  }

  /** The weighted means by name: new tensors. */
  mean(): NamedTensorMap {
    if (this.#totalWeight === 0) throw new Error('GradientAccumulator: add gradients before asking for their mean.');
    const scale = 1 / this.#totalWeight;
    return Object.fromEntries([...this.#sums].map(([name, sum]): [string, Tensor] => [name, mul(sum, scale)]));
  }

  /** Starts anew and frees the sums. */
  reset(): void {
    for (const sum of this.#sums.values()) sum.dispose();
    this.#sums.clear();
    this.#totalWeight = 0;
  }
}
