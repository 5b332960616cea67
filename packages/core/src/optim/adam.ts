/**
 * Adam and AdamW. With gradient g and update number t = 1, 2, …:
 *
 *     m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
 *     p ← (1 − η λ) p − η m̂ / (√v̂ + ε),    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
 *
 * AdamW decays the parameters themselves by λ as above; Adam adds λ p to g instead and leaves out (1 − η λ).
 * Sources: Kingma and Ba, Adam, 2015, algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019,
 * algorithm 2. t counts the updates of each parameter, so that one which joins later is corrected as it should be.
 *
 * On the engine one kernel reads and writes everything once, on GPUs one for each parameter; elsewhere the same is composed of
 * tfjs operations.
 */

import { add, div, mul, sqrt, square, sub, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend/backend.ts';
import { overwriting } from '../backend/overwrites.ts';
import { assertNumber } from '../shape-checks.ts';
import type { WebGpuBackend } from '../webgpu/backend.ts';
import { activeGpuBackend, adamOnGpu } from '../webgpu/optimizer.ts';
import { Optimizer, type OptimizerOptions, type ParameterUpdate } from './optimizer.ts';
import type { ParameterSource } from './parameters.ts';
import { activeEngineBackend, runOnList } from './tensor-list.ts';

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions extends OptimizerOptions {
  /** Step size η before the schedule's factor. Default 0.001. */
  learningRate?: number;
  /** Decay rates [β₁, β₂] of the two running means. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** ε, which keeps the division finite. Default 1e-8. */
  epsilon?: number;
  /** λ. Default 0 for Adam, 0.01 for AdamW. */
  weightDecay?: number;
}

const FIRST_MOMENT = 'firstMoment';
const SECOND_MOMENT = 'secondMoment';

abstract class AdamBase extends Optimizer {
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;
  readonly #decoupled: boolean;

  protected constructor(parameters: ParameterSource, options: AdamOptions, weightDecay: number, decoupled: boolean) {
    const { betas = [0.9, 0.999], epsilon = 1e-8 } = options;
    betas.forEach((beta, i) => {
      assertNumber(`betas[${i}]`, beta, 0, 1 - Number.EPSILON);
    });
    assertNumber('epsilon', epsilon, 0);
    super(parameters, { learningRate: 0.001, weightDecay, ...withoutUndefined(options) });
    this.#beta1 = betas[0];
    this.#beta2 = betas[1];
    this.#epsilon = epsilon;
    this.#decoupled = decoupled;
  }

  protected override slotNames(): readonly string[] {
    return [FIRST_MOMENT, SECOND_MOMENT];
  }

  protected override update(updates: readonly ParameterUpdate[], scale: number | Tensor): void {
    const backend = activeEngineBackend();
    const gpu = activeGpuBackend();
    if (backend !== undefined) this.#updateInPlace(backend, updates, scale as number);
    else if (gpu !== undefined) for (const update of updates) this.#updateOnGpu(gpu, update, scale);
    else for (const update of updates) this.#updateComposed(update, scale as number);
  }

  #updateInPlace(backend: FwpBackend, updates: readonly ParameterUpdate[], scale: number): void {
    overwriting(backend, (overwrites) => {
      const rows = updates.map((update) => {
        const { parameter, gradient } = update;
        const { rate, keep, l2, correction } = this.#numbers(update);
        return [
          gradient.size,
          backend.offsetOf(gradient),
          ...overwrites.fromAndTo(parameter.variable),
          ...overwrites.fromAndTo(this.slot(FIRST_MOMENT, parameter)),
          ...overwrites.fromAndTo(this.slot(SECOND_MOMENT, parameter)),
          rate,
          keep,
          l2,
          correction,
        ];
      });
      runOnList(backend, 'adam', rows, [1 - this.#beta1, 1 - this.#beta2, this.#epsilon, scale]);
    });
  }

  #updateOnGpu(backend: WebGpuBackend, update: ParameterUpdate, scale: number | Tensor): void {
    const { parameter, gradient } = update;
    const moments = [FIRST_MOMENT, SECOND_MOMENT].map((name) => this.slot(name, parameter)) as [Variable, Variable];
    const [first_rate, second_rate, epsilon] = [1 - this.#beta1, 1 - this.#beta2, this.#epsilon];
    const numbers = { ...this.#numbers(update), first_rate, second_rate, epsilon };
    adamOnGpu(backend, gradient, scale, [parameter.variable, ...moments], numbers);
  }

  #updateComposed(update: ParameterUpdate, scale: number): void {
    const { parameter, gradient } = update;
    const { variable } = parameter;
    const { rate, keep, l2, correction } = this.#numbers(update);
    const firstMoment = this.slot(FIRST_MOMENT, parameter);
    const secondMoment = this.slot(SECOND_MOMENT, parameter);
    tidy(() => {
      const g = add(mul(gradient, scale), mul(variable, l2));
      const m = add(firstMoment, mul(sub(g, firstMoment), 1 - this.#beta1));
      const v = add(secondMoment, mul(sub(square(g), secondMoment), 1 - this.#beta2));
      const direction = div(m, add(mul(sqrt(v), correction), this.#epsilon));
      const p = sub(mul(variable, keep), mul(direction, rate));
      firstMoment.assign(m);
      secondMoment.assign(v);
      variable.assign(p);
    });
  }

  /** The update in the form p ← keep p − rate m / (√v correction + ε), with l2 p added to g. */
  #numbers({ parameter, learningRate, count }: ParameterUpdate): {
    rate: number;
    keep: number;
    l2: number;
    correction: number;
  } {
    const { weightDecay } = parameter;
    return {
      rate: learningRate / (1 - this.#beta1 ** count),
      keep: this.#decoupled ? 1 - learningRate * weightDecay : 1,
      l2: this.#decoupled ? 0 : weightDecay,
      correction: 1 / Math.sqrt(1 - this.#beta2 ** count),
    };
  }
}

/** Adam; weight decay, if any, is added to the gradients. For decoupled decay use {@link AdamW}. */
export class Adam extends AdamBase {
  protected override readonly type = 'Adam';

  /**
   * @param parameters a module, or variables
   * @param options step size, decay rates and so on
   */
  constructor(parameters: ParameterSource, options: AdamOptions = {}) {
    super(parameters, options, 0, false);
  }
}

/** Adam with decoupled weight decay. */
export class AdamW extends AdamBase {
  protected override readonly type = 'AdamW';

  /**
   * @param parameters a module, or variables
   * @param options step size, decay rates, weight decay and so on
   */
  constructor(parameters: ParameterSource, options: AdamOptions = {}) {
    super(parameters, options, 0.01, true);
  }
}

/** Options that were given; those given as undefined take their defaults. */
function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
