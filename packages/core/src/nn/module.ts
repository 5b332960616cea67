/**
 * The base of all layers and models: a tree of modules that own named parameters.
 *
 *     class Model extends Module {
 *       readonly embedding: Embedding;
 *       readonly blocks: readonly TransformerBlock[];
 *       constructor(random: RandomStream) {
 *         super();
 *         this.embedding = this.addModule('embedding', new Embedding({ … }));
 *         this.blocks = this.addModules('blocks', [new TransformerBlock({ … }), …]);
 *       }
 *     }
 *
 * A parameter's name is its path, for example `'blocks.0.attention.output.weight'`. The names in checkpoints are these.
 */

import { variable as makeVariable, type NamedTensorMap, type Tensor, util, type Variable } from '@tensorflow/tfjs-core';
import { rememberPath } from '../optim/parameters.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertTensor } from '../shape-checks.ts';

/** A layer or a model. */
export abstract class Module {
  readonly #parameters = new Map<string, Variable>();
  readonly #buffers = new Map<string, Variable>();
  readonly #modules = new Map<string, Module>();
  readonly #randomStreams = new Map<string, RandomStream>();
  #training = true;

  // ---- for subclasses ----------------------------------------------------------------------------

  /**
   * Makes a trainable variable of this module.
   *
   * @param name its name in this module, without dots
   * @param initial its first value, float32; the module takes it over and disposes it
   */
  protected addParameter<T extends Tensor>(name: string, initial: T): Variable & T {
    return this.#addVariable(this.#parameters, name, initial, true);
  }

  /** Like {@link addParameter} for a tensor that belongs to the state but is not trained, for example a running mean. */
  protected addBuffer<T extends Tensor>(name: string, initial: T): Variable & T {
    return this.#addVariable(this.#buffers, name, initial, false);
  }

  /** Makes `module` a part of this one, under `name`. */
  protected addModule<M extends Module>(name: string, module: M): M {
    this.#assertNewName(name);
    if (!(module instanceof Module)) throw new TypeError(`Module '${name}' must be a Module.`);
    this.#modules.set(name, module);
    return module;
  }

  /** Makes modules parts of this one, under `name.0`, `name.1`, … */
  protected addModules<M extends Module>(name: string, modules: readonly M[]): readonly M[] {
    this.addModule(name, new ModuleList(modules));
    return modules;
  }

  /** Makes the state of a random stream, from which `forward` draws, part of this module's state. */
  protected addRandomStream(name: string, stream: RandomStream): RandomStream {
    this.#assertNewName(name);
    this.#randomStreams.set(name, stream);
    return stream;
  }

  // ---- for everyone ------------------------------------------------------------------------------

  /** Whether the module trains: dropout drops then. True at first; see {@link train} and {@link eval}. */
  get training(): boolean {
    return this.#training;
  }

  /** Puts this module and all its parts into training mode (or out of it). Returns the module. */
  train(training = true): this {
    this.#training = training;
    for (const module of this.#modules.values()) module.train(training);
    return this;
  }

  /** Puts this module and all its parts into evaluation mode. Returns the module. */
  eval(): this {
    return this.train(false);
  }

  /** This module (as `''`) and all its parts by path. */
  namedModules(): Map<string, Module> {
    const result = new Map<string, Module>();
    this.#visit('', (module, path) => {
      result.set(path, module);
    });
    return result;
  }

  /** All trainable variables by path; one that occurs in several places is listed once. */
  namedParameters(): Map<string, Variable> {
    const parameters = this.#collect((module) => module.#parameters);
    for (const [path, variable] of parameters) rememberPath(variable, path);
    return parameters;
  }

  /** All trainable variables, in the order of {@link namedParameters}. */
  parameters(): Variable[] {
    return [...this.namedParameters().values()];
  }

  /** All variables that belong to the state but are not trained, by path. */
  namedBuffers(): Map<string, Variable> {
    return this.#collect((module) => module.#buffers);
  }

  /** All random streams from which `forward` draws, by path. Checkpoints contain their states. */
  namedRandomStreams(): Map<string, RandomStream> {
    return this.#collect((module) => module.#randomStreams);
  }

  /** Number of trainable numbers. */
  get parameterCount(): number {
    return this.parameters().reduce((sum, { size }) => sum + size, 0);
  }

  /** Copies of all parameters and buffers by path (they share memory until one side changes); the caller disposes them. */
  stateDict(): NamedTensorMap {
    return Object.fromEntries([...this.#stateVariables()].map(([path, variable]) => [path, variable.clone()]));
  }

  /**
   * Sets parameters and buffers.
   *
   * @param tensors what {@link stateDict} returned, or a file contains; they stay the caller's
   * @param options `strict: false` ignores names that are missing or unexpected. Default true
   * @throws RangeError listing all missing and unexpected names and wrong shapes; nothing is changed then
   */
  loadStateDict(tensors: Readonly<NamedTensorMap>, options: { strict?: boolean } = {}): void {
    const { strict = true } = options;
    const variables = this.#stateVariables();
    const problems: string[] = [];
    for (const [path, variable] of variables) {
      const tensor = tensors[path];
      if (tensor === undefined) {
        if (strict) problems.push(`'${path}' is missing`);
        continue;
      }
      assertTensor(`loadStateDict: '${path}'`, tensor);
      if (tensor.dtype !== variable.dtype || !util.arraysEqual(tensor.shape, variable.shape)) {
        const given = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
        problems.push(`'${path}' is ${given} instead of ${variable.dtype} [${variable.shape.join(', ')}]`);
      }
    }
    for (const name of Object.keys(tensors)) {
      if (strict && !variables.has(name)) problems.push(`'${name}' is unexpected`);
    }
    if (problems.length > 0) throw new RangeError(`The state does not fit the module: ${problems.join('; ')}.`);
    for (const [path, variable] of variables) {
      const tensor = tensors[path];
      if (tensor !== undefined) variable.assign(tensor);
    }
  }

  /**
   * Runs something with other tensors in the places of parameters, for example copies whose gradients are gathered.
   *
   * @param replacements what stands for which variable; those that aren't named stay
   * @param run uses this module
   * @returns what `run` returned; the parameters are back in their places then
   * @throws Error if a parameter is no property of its module, so that it can't be replaced
   */
  withParameters<R>(replacements: ReadonlyMap<Variable, Tensor>, run: () => R): R {
    const places: {
      holder: Record<string, unknown>;
      name: string;
      variable: Variable;
    }[] = [];
    this.#visit('', (module, path) => {
      const holder = module as unknown as Record<string, unknown>;
      for (const [parameter, variable] of module.#parameters) {
        if (!replacements.has(variable)) continue;
        const name = Object.keys(holder).find((key) => holder[key] === variable);
        if (name === undefined) {
          throw new Error(
            `Parameter '${path === '' ? parameter : `${path}.${parameter}`}' is no public property of its module, so ` +
              'that nothing can stand in its place. Keep what addParameter() returns in one.',
          );
        }
        places.push({ holder, name, variable });
      }
    });
    try {
      for (const { holder, name, variable } of places) holder[name] = replacements.get(variable);
      return run();
    } finally {
      for (const { holder, name, variable } of places) holder[name] = variable;
    }
  }

  /** Frees all parameters and buffers of this module and its parts. */
  dispose(): void {
    this.#visit('', (module) => {
      for (const variable of [...module.#parameters.values(), ...module.#buffers.values()]) {
        if (!variable.isDisposed) variable.dispose();
      }
    });
  }

  // ---- helpers -----------------------------------------------------------------------------------

  #addVariable<T extends Tensor>(
    map: Map<string, Variable>,
    name: string,
    initial: T,
    trainable: boolean,
  ): Variable & T {
    try {
      this.#assertNewName(name);
      assertTensor(`Parameter '${name}'`, initial);
      if (trainable) assertTensor(`Parameter '${name}'`, initial, 'float32');
      const variable = makeVariable(initial, trainable);
      map.set(name, variable);
      return variable as Variable & T;
    } finally {
      initial?.dispose?.();
    }
  }

  #assertNewName(name: string): void {
    if (!/^[A-Za-z0-9_]+$/.test(name)) {
      throw new RangeError(
        `The name '${name}' must consist of letters, digits and underscores; dots separate modules.`,
      );
    }
    for (const map of [this.#parameters, this.#buffers, this.#modules, this.#randomStreams]) {
      if (map.has(name)) throw new RangeError(`The module has something called '${name}' already.`);
    }
  }

  #stateVariables(): Map<string, Variable> {
    return new Map([...this.namedParameters(), ...this.namedBuffers()]);
  }

  #collect<T extends object>(from: (module: Module) => ReadonlyMap<string, T>): Map<string, T> {
    const result = new Map<string, T>();
    const seen = new Set<T>();
    this.#visit('', (module, prefix) => {
      for (const [name, item] of from(module)) {
        if (!seen.has(item)) result.set(prefix === '' ? name : `${prefix}.${name}`, item);
        seen.add(item);
      }
    });
    return result;
  }

  #visit(path: string, visitor: (module: Module, path: string) => void): void {
    visitor(this, path);
    for (const [name, module] of this.#modules) module.#visit(path === '' ? name : `${path}.${name}`, visitor);
  }
}

/** Modules by number. */
class ModuleList extends Module {
  constructor(modules: readonly Module[]) {
    super();
    modules.forEach((module, i) => {
      this.addModule(String(i), module);
    });
  }
}
