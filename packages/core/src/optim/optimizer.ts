/** What all optimisers share: parameters and their groups, schedule, clipping, micro-batches, and state. */

import {
  add,
  div,
  keep,
  variable as makeVariable,
  type NamedTensorMap,
  type Scalar,
  type Tensor,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { assertCount, assertNumber } from '../shape-checks.ts';
import { activeGpuBackend, clipOnGpu } from '../webgpu/optimizer.ts';
import { GradientAccumulator } from './accumulate.ts';
import { clipFactor, globalNorm } from './clip.ts';
import { valueAndGradients } from './gradients.ts';
import { collectParameters, type ParameterSource } from './parameters.ts';
import type { Schedule } from './schedules.ts';
import { assertGradient } from './tensor-list.ts';

/** Settings of some of the parameters; whatever is left out is as for the others. */
export interface ParameterGroup {
  /** Which parameters belong to the group; a parameter belongs to the first group that matches. */
  readonly match: (name: string, variable: Variable) => boolean;
  /** Multiplies the learning rate. Default 1. */
  readonly learningRateFactor?: number;
  /** Replaces the optimizer's weight decay. */
  readonly weightDecay?: number;
}

/** Options of every optimiser. */
export interface OptimizerOptions {
  /** Step size before the schedule's factor. */
  learningRate?: number;
  /** Factor of the learning rate by number of updates made. Default: always 1. */
  schedule?: Schedule;
  /** Weight decay. */
  weightDecay?: number;
  /** Largest joint norm of all gradients; larger ones are scaled down to it. Default: no limit. */
  clipNorm?: number;
  /** Exceptions, for example `{ match: isVector, weightDecay: 0 }`. */
  groups?: readonly ParameterGroup[];
}

/** Everything that an optimiser must remember to go on exactly where it was. */
export interface OptimizerState {
  /** Running means by `<slot>/<parameter>`; the caller disposes them. */
  readonly tensors: NamedTensorMap;
  /** The rest, as plain JSON. */
  readonly values: OptimizerValues;
}

/** The part of {@link OptimizerState} that is not tensors. */
export interface OptimizerValues {
  readonly type: string;
  readonly learningRate: number;
  /** Number of updates made. */
  readonly stepCount: number;
  /** How often each parameter was updated. */
  readonly updates: Readonly<Record<string, number>>;
}

/** Options of {@link Optimizer.minimize}. */
export interface MinimizeOptions {
  /** Number of calls of the loss function whose mean is minimised. Default 1. */
  microBatches?: number;
}

/** A parameter with its settings. */
export interface OptimizedParameter {
  readonly name: string;
  readonly variable: Variable;
  readonly learningRateFactor: number;
  readonly weightDecay: number;
  /** Number of updates made so far. */
  updates: number;
}

/** One parameter's part of an update. */
export interface ParameterUpdate {
  readonly parameter: OptimizedParameter;
  readonly gradient: Tensor;
  /** With schedule and group. */
  readonly learningRate: number;
  /** How often the parameter will have been updated, this update included. */
  readonly count: number;
}

/** What {@link Optimizer.onUpdate} is told. All tensors stay the optimizer's: keep a clone of what is looked at later. */
export interface ObservedUpdate {
  /** By the parameters' names, as they are before `scale` and clipping. */
  readonly gradients: ReadonlyMap<string, Tensor>;
  /** Multiplies the gradients: one over the number of micro-batches, or what `step` was given. */
  readonly scale: number;
  /** The loss that {@link Optimizer.minimize} computed; undefined if `step` was called. */
  readonly loss: Scalar | undefined;
}

/** True for biases and normalisation gains, which usually go without weight decay: parameters of fewer than two dimensions. */
export function isVector(_name: string, variable: Variable): boolean {
  return variable.rank < 2;
}

/** Base class of the optimisers. */
export abstract class Optimizer {
  /** Step size before the schedule's factor; may be changed at any time. */
  learningRate: number;
  /** Is told of each update before it is made, for example to look at gradients by name. Default: nobody is. */
  onUpdate: ((update: ObservedUpdate) => void) | undefined;
  protected abstract readonly type: string;
  readonly #schedule: Schedule;
  readonly #clipNorm: number | undefined;
  readonly #parameters: readonly OptimizedParameter[];
  readonly #slots = new Map<string, Variable>();
  /** Where gradients were clipped on a GPU, it is not read before somebody asks for it. */
  #gradientNorm: number | Tensor | undefined;
  #stepCount = 0;
  #disposed = false;

  protected constructor(
    source: ParameterSource,
    options: Required<Pick<OptimizerOptions, 'learningRate' | 'weightDecay'>> & OptimizerOptions,
  ) {
    const { learningRate, schedule = () => 1, weightDecay, clipNorm, groups = [] } = options;
    assertNumber('learningRate', learningRate, 0);
    assertNumber('weightDecay', weightDecay, 0);
    if (clipNorm !== undefined) assertNumber('clipNorm', clipNorm, 0);
    this.learningRate = learningRate;
    this.#schedule = schedule;
    this.#clipNorm = clipNorm;
    this.#parameters = [...collectParameters(source)].map(([name, variable]) => {
      const group = groups.find(({ match }) => match(name, variable));
      const { learningRateFactor = 1, weightDecay: groupDecay = weightDecay } = group ?? {};
      assertNumber(`learningRateFactor of '${name}'`, learningRateFactor, 0);
      assertNumber(`weightDecay of '${name}'`, groupDecay, 0);
      return { name, variable, learningRateFactor, weightDecay: groupDecay, updates: 0 };
    });
  }

  /** Number of updates made. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /** The joint norm of the last gradients before clipping; undefined without `clipNorm`. On a GPU, asking for it waits. */
  get gradientNorm(): number | undefined {
    const norm = this.#gradientNorm;
    if (norm === undefined || typeof norm === 'number') return norm;
    const [value] = norm.dataSync();
    this.#setGradientNorm(value);
    return value;
  }

  /** The learning rate of the next update, the schedule's factor included. */
  get currentLearningRate(): number {
    return this.learningRate * this.#schedule(this.#stepCount);
  }

  /**
   * Computes a loss and its gradients and makes one update.
   *
   * @param loss returns a scalar; called once per micro-batch with its number (0, 1, …)
   * @returns the loss, averaged over the micro-batches; the caller disposes it
   */
  minimize(loss: (microBatch: number) => Scalar, options: MinimizeOptions = {}): Scalar {
    const { microBatches = 1 } = options;
    assertCount('microBatches', microBatches);
    const variables = this.#parameters.map(({ variable }) => variable);
    if (microBatches === 1) {
      const { value, gradients } = valueAndGradients(() => loss(0), variables);
      try {
        this.#step(gradients, 1, value);
      } catch (error) {
        value.dispose();
        throw error;
      } finally {
        for (const gradient of Object.values(gradients)) gradient.dispose();
      }
      return value;
    }
    const accumulator = new GradientAccumulator();
    try {
      return tidy(() => {
        let total: Scalar | undefined;
        for (let i = 0; i < microBatches; i++) {
          const { value, gradients } = valueAndGradients(() => loss(i), variables);
          accumulator.add(gradients);
          for (const gradient of Object.values(gradients)) gradient.dispose();
          total = total === undefined ? value : add<Scalar>(total, value);
        }
        const mean = div<Scalar>(total as Scalar, microBatches);
        this.#step(accumulator.sums(), 1 / microBatches, mean);
        return mean;
      });
    } finally {
      accumulator.reset();
    }
  }

  /**
   * Makes one update.
   *
   * @param gradients float32 tensors by the tfjs names of the variables, as `tf.variableGrads` returns them, or in the
   *   order of the parameters; parameters without one stay as they are. They remain the caller's
   * @param options `scale` multiplies all gradients (before clipping). Default 1
   */
  step(
    gradients: Readonly<Record<string, Tensor | null | undefined>> | readonly (Tensor | null | undefined)[],
    options: { scale?: number } = {},
  ): void {
    this.#step(gradients, options.scale ?? 1, undefined);
  }

  #step(gradients: Parameters<Optimizer['step']>[0], scale: number, loss: Scalar | undefined): void {
    if (this.#disposed) throw new Error('The optimizer was disposed; make a new one.');
    const factor = this.#schedule(this.#stepCount);
    assertNumber(`The schedule's factor at step ${this.#stepCount}`, factor, 0);
    const updates = this.#match(gradients).map(({ parameter, gradient }): ParameterUpdate => {
      const learningRate = this.learningRate * factor * parameter.learningRateFactor;
      return { parameter, gradient, learningRate, count: parameter.updates + 1 };
    });
    this.onUpdate?.({
      gradients: new Map(updates.map(({ parameter, gradient }) => [parameter.name, gradient])),
      scale,
      loss,
    });
    this.#clippedUpdate(updates, scale);
    this.#stepCount++;
    for (const { parameter, count } of updates) parameter.updates = count;
  }

  #clippedUpdate(updates: readonly ParameterUpdate[], scale: number): void {
    if (this.#clipNorm === undefined) {
      this.update(updates, scale);
      return;
    }
    const gradients = updates.map(({ gradient }) => gradient);
    const gpu = activeGpuBackend();
    if (gpu === undefined) {
      const norm = scale * globalNorm(gradients);
      this.#setGradientNorm(norm);
      this.update(updates, scale * clipFactor(norm, this.#clipNorm));
      return;
    }
    const { norm, factor } = clipOnGpu(gpu, gradients, scale, this.#clipNorm);
    this.#setGradientNorm(keep(norm));
    this.update(updates, factor);
    factor.dispose();
  }

  #setGradientNorm(norm: number | Tensor | undefined): void {
    if (typeof this.#gradientNorm === 'object') this.#gradientNorm.dispose();
    this.#gradientNorm = norm;
  }

  /** Everything needed to go on exactly here. The caller disposes the tensors. */
  stateDict(): OptimizerState {
    return {
      tensors: Object.fromEntries([...this.#slots].map(([name, slot]) => [name, slot.clone()])),
      values: {
        type: this.type,
        learningRate: this.learningRate,
        stepCount: this.#stepCount,
        updates: Object.fromEntries(this.#parameters.map(({ name, updates }) => [name, updates])),
      },
    };
  }

  /**
   * Goes on where a {@link stateDict} was taken.
   *
   * @param state remains the caller's
   * @throws RangeError if it belongs to another kind of optimiser, or to parameters of other names or shapes; nothing
   *   is changed then
   */
  loadStateDict(state: OptimizerState): void {
    const { tensors, values } = state;
    this.#checkState(state);
    for (const slot of this.#slots.values()) slot.dispose();
    this.#slots.clear();
    for (const [name, tensor] of Object.entries(tensors)) this.#slots.set(name, makeVariable(tensor, false));
    for (const parameter of this.#parameters) parameter.updates = values.updates[parameter.name] as number;
    this.learningRate = values.learningRate;
    this.#stepCount = values.stepCount;
  }

  /** Frees the optimiser's memory; the parameters remain. */
  dispose(): void {
    for (const slot of this.#slots.values()) slot.dispose();
    this.#slots.clear();
    this.#setGradientNorm(undefined);
    this.#disposed = true;
  }

  /** Names of the tensors that are kept for each parameter. */
  protected abstract slotNames(): readonly string[];

  /** Changes all parameters; `scale` multiplies the gradients. It is a tensor `[1]` where they were clipped on a GPU. */
  protected abstract update(updates: readonly ParameterUpdate[], scale: number | Tensor): void;

  /** A tensor kept for a parameter; zeros at first. */
  protected slot(name: string, { name: parameter, variable }: OptimizedParameter): Variable {
    const key = `${name}/${parameter}`;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = tidy(() => makeVariable(zeros(variable.shape), false));
      this.#slots.set(key, slot);
    }
    return slot;
  }

  #match(
    gradients: Readonly<Record<string, Tensor | null | undefined>> | readonly (Tensor | null | undefined)[],
  ): { parameter: OptimizedParameter; gradient: Tensor }[] {
    const isList = Array.isArray(gradients);
    if (isList && gradients.length !== this.#parameters.length) {
      throw new RangeError(
        `Expected ${this.#parameters.length} gradients, one per parameter, but got ${gradients.length}.`,
      );
    }
    const matched = this.#parameters.flatMap((parameter, i) => {
      const key = isList ? i : parameter.variable.name;
      const gradient = (gradients as Record<string | number, Tensor | null | undefined>)[key];
      if (gradient === null || gradient === undefined) return [];
      assertGradient(parameter.name, gradient, parameter.variable);
      return [{ parameter, gradient }];
    });
    if (matched.length > 0) return matched;
    const names = this.#parameters.slice(0, 3).map(({ variable }) => `'${variable.name}'`);
    throw new RangeError(
      `None of the gradients belongs to a parameter of this optimizer. Name them by tfjs variable (${names.join(', ')}, …).`,
    );
  }

  #checkState({ tensors, values }: OptimizerState): void {
    if (values.type !== this.type) {
      throw new RangeError(`The state is that of optimizer '${values.type}', but this is '${this.type}'.`);
    }
    const problems: string[] = [];
    const expected = new Map(
      this.#parameters.flatMap((parameter) =>
        this.slotNames().map((slot): [string, OptimizedParameter] => [`${slot}/${parameter.name}`, parameter]),
      ),
    );
    for (const { name } of this.#parameters) {
      const count = values.updates[name];
      if (count === undefined) problems.push(`parameter '${name}' is missing`);
      else if (count > 0) {
        for (const slot of this.slotNames()) {
          if (tensors[`${slot}/${name}`] === undefined) problems.push(`tensor '${slot}/${name}' is missing`);
        }
      }
    }
    for (const name of Object.keys(values.updates)) {
      if (!this.#parameters.some((parameter) => parameter.name === name))
        problems.push(`parameter '${name}' is unexpected`);
    }
    for (const [name, tensor] of Object.entries(tensors)) {
      const parameter = expected.get(name);
      if (parameter === undefined) problems.push(`tensor '${name}' is unexpected`);
      else if (tensor.shape.join() !== parameter.variable.shape.join()) {
        const wanted = `[${parameter.variable.shape.join(', ')}]`;
        problems.push(`tensor '${name}' has shape [${tensor.shape.join(', ')}] instead of ${wanted}`);
      }
    }
    if (problems.length > 0) throw new RangeError(`The state does not fit this optimizer: ${problems.join('; ')}.`);
  }
}
