/**
 * Checkpoints: one safetensors file with all that a training run needs to go on bit for bit.
 *
 *     <parameter or buffer path>          tensors of the module, under their own names: readable by anything
 *     optimizer/<slot>/<parameter path>   running means of the optimiser
 *     metadata                            `fwp.checkpoint` with version, step, the optimiser's counters, the states of
 *                                         all random streams (the module's own included) and `extra`, as JSON
 *
 * The file is replaced atomically: a run that is killed while it saves still has the checkpoint before.
 */

import type { NamedTensorMap } from '@tensorflow/tfjs-core';
import { CorruptFileError } from '../errors.ts';
import type { Module } from '../nn/module.ts';
import type { Optimizer, OptimizerValues } from '../optim/optimizer.ts';
import { RandomStream, type RandomStreamState } from '../random/stream.ts';
import { assertCount } from '../shape-checks.ts';
import { loadSafetensors, saveSafetensors } from './safetensors.ts';

/** A value that JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What is saved into a checkpoint, and restored from one. */
export interface CheckpointParts {
  /** Parameters, buffers and random streams. */
  module?: Module;
  /** Running means and counters. */
  optimizer?: Optimizer;
  /** Further random streams by name, for example that of the data. */
  random?: Readonly<Record<string, RandomStream>>;
}

/** What a checkpoint says besides. */
export interface CheckpointInfo {
  /** Number of training steps made. */
  readonly step: number;
  /** Whatever else was saved, for example the position in the data. */
  readonly extra: Json;
}

const METADATA = 'fwp.checkpoint';
const VERSION = 1;
const OPTIMIZER_PREFIX = 'optimizer/';

/** The JSON in the metadata. */
interface Content {
  readonly version: number;
  readonly step: number;
  readonly extra: Json;
  readonly optimizer: OptimizerValues | null;
  readonly random: Readonly<Record<string, RandomStreamState>>;
  readonly moduleRandom: Readonly<Record<string, RandomStreamState>>;
}

/**
 * Writes a checkpoint.
 *
 * @param path the file; missing folders are made
 * @param parts what to save
 * @param info number of steps (default: the optimiser's, or 0) and anything else that JSON can hold (default null)
 * @throws RangeError if `step` is no count, or a number in `extra` is not finite, which JSON would make null of
 */
export async function saveCheckpoint(
  path: string,
  parts: CheckpointParts,
  info: Partial<CheckpointInfo> = {},
): Promise<void> {
  const { module, optimizer, random = {} } = parts;
  const { step = optimizer?.stepCount ?? 0, extra = null } = info;
  assertCount('saveCheckpoint: step', step, 0);
  assertFiniteNumbers(extra, 'extra');
  const moduleTensors = module?.stateDict() ?? {};
  const optimizerState = optimizer?.stateDict();
  const tensors: NamedTensorMap = { ...moduleTensors };
  for (const [name, tensor] of Object.entries(optimizerState?.tensors ?? {})) tensors[OPTIMIZER_PREFIX + name] = tensor;
  const content: Content = {
    version: VERSION,
    step,
    extra,
    optimizer: optimizerState?.values ?? null,
    random: statesOf(Object.entries(random)),
    moduleRandom: statesOf(module?.namedRandomStreams() ?? []),
  };
  try {
    await saveSafetensors(path, tensors, { [METADATA]: JSON.stringify(content) });
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

/**
 * Restores what a checkpoint holds. The parts must be made as those that were saved: modules of the same structure, the
 * same kind of optimiser, streams of the same names. Parts that are not given are left out.
 *
 * @param path the file
 * @param parts what to restore
 * @throws CorruptFileError if the file is damaged or no checkpoint
 * @throws RangeError listing missing and unexpected names and wrong shapes; nothing is changed then
 */
export async function loadCheckpoint(path: string, parts: CheckpointParts): Promise<CheckpointInfo> {
  const { module, optimizer, random = {} } = parts;
  const { tensors, metadata } = await loadSafetensors(path);
  try {
    const content = readContent(metadata[METADATA], path);
    const moduleTensors: NamedTensorMap = {};
    const optimizerTensors: NamedTensorMap = {};
    for (const [name, tensor] of Object.entries(tensors)) {
      if (name.startsWith(OPTIMIZER_PREFIX)) optimizerTensors[name.slice(OPTIMIZER_PREFIX.length)] = tensor;
      else moduleTensors[name] = tensor;
    }
    if (optimizer !== undefined && content.optimizer === null) {
      throw new RangeError(`${path}: the checkpoint has no optimizer state. Load it without 'optimizer'.`);
    }
    const streams = new Map(Object.entries(random));
    const moduleStreams = module?.namedRandomStreams() ?? new Map<string, RandomStream>();
    assertSameNames(`${path}: random streams`, streams.keys(), Object.keys(content.random), random !== parts.random);
    assertSameNames(
      `${path}: random streams of the module`,
      moduleStreams.keys(),
      Object.keys(content.moduleRandom),
      !module,
    );
    const states = [...streams].map(([name]) => content.random[name] as RandomStreamState);
    const moduleStates = [...moduleStreams].map(([name]) => content.moduleRandom[name] as RandomStreamState);
    for (const state of [...states, ...moduleStates]) RandomStream.fromState(state);
    restoreTensors(module, moduleTensors, () => {
      optimizer?.loadStateDict({ tensors: optimizerTensors, values: content.optimizer as OptimizerValues });
    });
    [...streams.values()].forEach((stream, i) => {
      stream.state = states[i] as RandomStreamState;
    });
    [...moduleStreams.values()].forEach((stream, i) => {
      stream.state = moduleStates[i] as RandomStreamState;
    });
    return { step: content.step, extra: content.extra };
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

function assertFiniteNumbers(value: Json, name: string): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError(
      `saveCheckpoint: ${name} is ${value}, which JSON cannot hold; leave it out, or write it as a string.`,
    );
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) assertFiniteNumbers(part as Json, `${name}.${key}`);
}

/** Sets the module's tensors and does the rest; if that throws, the module is as before. */
function restoreTensors(module: Module | undefined, tensors: NamedTensorMap, rest: () => void): void {
  const before = module?.stateDict() ?? {};
  try {
    module?.loadStateDict(tensors);
    rest();
  } catch (error) {
    module?.loadStateDict(before);
    throw error;
  } finally {
    for (const tensor of Object.values(before)) tensor.dispose();
  }
}

function statesOf(streams: Iterable<[string, RandomStream]>): Record<string, RandomStreamState> {
  return Object.fromEntries([...streams].map(([name, stream]) => [name, stream.state]));
}

function readContent(text: string | undefined, path: string): Content {
  if (text === undefined) {
    throw new CorruptFileError(
      `${path}: no checkpoint, as metadata '${METADATA}' is missing. To read tensors only, use loadSafetensors().`,
    );
  }
  let content: Partial<Content> | null;
  try {
    content = JSON.parse(text) as Partial<Content> | null;
  } catch {
    throw new CorruptFileError(`${path}: metadata '${METADATA}' is not valid JSON.`);
  }
  if (typeof content !== 'object' || content === null || content.version !== VERSION) {
    const found = JSON.stringify(content?.version);
    throw new CorruptFileError(`${path}: expected a checkpoint of version ${VERSION}, found version ${found}.`);
  }
  const { step, random, moduleRandom } = content;
  if (typeof step !== 'number' || typeof random !== 'object' || typeof moduleRandom !== 'object') {
    throw new CorruptFileError(`${path}: metadata '${METADATA}' lacks the step or the random streams.`);
  }
  return content as Content;
}

function assertSameNames(what: string, wanted: Iterable<string>, found: readonly string[], skip: boolean): void {
  if (skip) return;
  const names = [...wanted];
  const missing = names.filter((name) => !found.includes(name)).map((name) => `'${name}' is missing`);
  const unexpected = found.filter((name) => !names.includes(name)).map((name) => `'${name}' is unexpected`);
  if (missing.length + unexpected.length === 0) return;
  throw new RangeError(`${what} do not fit: ${[...missing, ...unexpected].join('; ')}.`);
}
