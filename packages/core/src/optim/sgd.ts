/**
 * Stochastic gradient descent with momentum μ and weight decay λ (added to the gradient g):
 *
 *     u ← μ u + g + λ p        p ← p − η u        Nesterov: p ← p − η (g + λ p + μ u)
 *
 * Source: Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning, 2013;
 * the Nesterov form is the usual one in which the gradient is taken at the parameters themselves.
 */

import { add, mul, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend/backend.ts';
import { overwriting } from '../backend/overwrites.ts';
import { assertNumber } from '../shape-checks.ts';
import { Optimizer, type OptimizerOptions, type ParameterUpdate } from './optimizer.ts';
import type { ParameterSource } from './parameters.ts';
import { activeEngineBackend, runOnList } from './tensor-list.ts';

/** Options of {@link Sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** Step size η before the schedule's factor. Default 0.01. */
  learningRate?: number;
  /** μ. Default 0. */
  momentum?: number;
  /** Whether the step looks ahead along the momentum. Default false. */
  nesterov?: boolean;
  /** λ. Default 0. */
  weightDecay?: number;
}

const VELOCITY = 'velocity';

/** Stochastic gradient descent, optionally with (Nesterov) momentum. */
export class Sgd extends Optimizer {
  protected override readonly type = 'Sgd';
  readonly #momentum: number;
  readonly #nesterov: boolean;

  /**
   * @param parameters a module, or variables
   * @param options step size, momentum, weight decay and so on
   */
  constructor(parameters: ParameterSource, options: SgdOptions = {}) {
    const { learningRate = 0.01, momentum = 0, nesterov = false, weightDecay = 0 } = options;
    assertNumber('momentum', momentum, 0, 1);
    if (nesterov && momentum === 0) throw new RangeError('nesterov needs a momentum above 0, for example 0.9.');
    super(parameters, { ...options, learningRate, weightDecay });
    this.#momentum = momentum;
    this.#nesterov = nesterov;
  }

  protected override slotNames(): readonly string[] {
    return this.#momentum === 0 ? [] : [VELOCITY];
  }

  protected override update(updates: readonly ParameterUpdate[], scale: number | Tensor): void {
    const backend = activeEngineBackend();
    if (backend !== undefined) this.#updateInPlace(backend, updates, scale as number);
    else for (const update of updates) this.#updateComposed(update, scale);
  }

  #updateInPlace(backend: FwpBackend, updates: readonly ParameterUpdate[], scale: number): void {
    overwriting(backend, (overwrites) => {
      const rows = updates.map(({ parameter, gradient, learningRate }) => {
        const velocity = this.#momentum === 0 ? [0, 0] : overwrites.fromAndTo(this.slot(VELOCITY, parameter));
        const variable = overwrites.fromAndTo(parameter.variable);
        return [
          gradient.size,
          backend.offsetOf(gradient),
          ...variable,
          ...velocity,
          learningRate,
          parameter.weightDecay,
        ];
      });
      runOnList(backend, 'sgd', rows, [this.#momentum, Number(this.#nesterov), scale]);
    });
  }

  #updateComposed({ parameter, gradient, learningRate }: ParameterUpdate, scale: number | Tensor): void {
    const { variable } = parameter;
    tidy(() => {
      const g = add(mul(gradient, scale), mul(variable, parameter.weightDecay));
      let direction = g;
      if (this.#momentum > 0) {
        const velocity = this.slot(VELOCITY, parameter);
        const u = add(mul(velocity, this.#momentum), g);
        velocity.assign(u);
        direction = this.#nesterov ? add(g, mul(u, this.#momentum)) : u;
      }
      variable.assign(sub(variable, mul(direction, learningRate)));
    });
  }
}
