/**
 * RMSProp with smoothing α and weight decay λ (added to the gradient g):
 *
 *     v ← α v + (1 − α) g²        p ← p − η g / (√v + ε)
 *
 * Source: Tieleman and Hinton, lecture 6.5 of Neural Networks for Machine Learning, 2012. As in PyTorch, ε is outside of the
 * root and v starts at zero without a correction. Actor-critic agents in the line of IMPALA use it with a large ε, 0.01 and more.
 */

import { add, div, mul, sqrt, square, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend/backend.ts';
import { overwriting } from '../backend/overwrites.ts';
import { assertNumber } from '../shape-checks.ts';
import { Optimizer, type OptimizerOptions, type ParameterUpdate } from './optimizer.ts';
import type { ParameterSource } from './parameters.ts';
import { activeEngineBackend, runOnList } from './tensor-list.ts';

/** Options of {@link RmsProp}. */
export interface RmsPropOptions extends OptimizerOptions {
  /** Step size η before the schedule's factor. Default 0.01. */
  learningRate?: number;
  /** Decay rate α of the running mean of squares. Default 0.99. */
  alpha?: number;
  /** ε, which keeps the division finite. Default 1e-8. */
  epsilon?: number;
  /** λ. Default 0. */
  weightDecay?: number;
}

const MEAN_SQUARE = 'meanSquare';

/** RMSProp, without momentum and not centred. */
export class RmsProp extends Optimizer {
  protected override readonly type = 'RmsProp';
  readonly #alpha: number;
  readonly #epsilon: number;

  /**
   * @param parameters a module, or variables
   * @param options step size, decay rate and so on
   */
  constructor(parameters: ParameterSource, options: RmsPropOptions = {}) {
    const { learningRate = 0.01, alpha = 0.99, epsilon = 1e-8, weightDecay = 0 } = options;
    assertNumber('alpha', alpha, 0, 1 - Number.EPSILON);
    assertNumber('epsilon', epsilon, 0);
    super(parameters, { ...options, learningRate, weightDecay });
    this.#alpha = alpha;
    this.#epsilon = epsilon;
  }

  protected override slotNames(): readonly string[] {
    return [MEAN_SQUARE];
  }

  protected override update(updates: readonly ParameterUpdate[], scale: number | Tensor): void {
    const backend = activeEngineBackend();
    if (backend !== undefined) this.#updateInPlace(backend, updates, scale as number);
    else for (const update of updates) this.#updateComposed(update, scale);
  }

  #updateInPlace(backend: FwpBackend, updates: readonly ParameterUpdate[], scale: number): void {
    overwriting(backend, (overwrites) => {
      const rows = updates.map(({ parameter, gradient, learningRate }) => [
        gradient.size,
        backend.offsetOf(gradient),
        ...overwrites.fromAndTo(parameter.variable),
        ...overwrites.fromAndTo(this.slot(MEAN_SQUARE, parameter)),
        learningRate,
        parameter.weightDecay,
      ]);
      runOnList(backend, 'rmsprop', rows, [1 - this.#alpha, this.#epsilon, scale]);
    });
  }

  #updateComposed({ parameter, gradient, learningRate }: ParameterUpdate, scale: number | Tensor): void {
    const { variable } = parameter;
    const meanSquare = this.slot(MEAN_SQUARE, parameter);
    tidy(() => {
      const g = add(mul(gradient, scale), mul(variable, parameter.weightDecay));
      const v = add(meanSquare, mul(sub(square(g), meanSquare), 1 - this.#alpha));
      meanSquare.assign(v);
      variable.assign(sub(variable, div(mul(g, learningRate), add(sqrt(v), this.#epsilon))));
    });
  }
}
