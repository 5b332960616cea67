/**
 * Environments in threads of their own, for Node: the batch is divided among worker threads, which act at the same time.
 *
 * @packageDocumentation
 */

import { Worker } from 'node:worker_threads';
import { assertCount } from '@fwp/core';
import type { VectorEnvironment, VectorStep } from './environment.ts';

/** Options of {@link workerEnvironment}. */
export interface WorkerEnvironmentOptions {
  /** Address of the module that makes environments, for example `import.meta.resolve('@fwp/datasets/environments')`. */
  module: string;
  /** Name of the function that it exports: from options to an environment that answers at once. */
  factory: string;
  /** Options for each thread's environment, one object a thread; their batch sizes add up. Give each a seed of its own. */
  options: readonly object[];
}

/** A {@link VectorEnvironment} whose parts run in threads. */
export interface WorkerEnvironment extends VectorEnvironment {
  reset(): Promise<Float32Array>;
  step(actions: ArrayLike<number>): Promise<VectorStep>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/** What a thread runs: makes its environment, then does what it is told. Text, as there is no file of it in every bundle. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { module: address, factory, options } = workerData;
const made = import(address).then((module) => {
  if (typeof module[factory] !== 'function') throw new TypeError(address + ' exports no function ' + factory + '.');
  return module[factory](options);
});
made.then(
  ({ batchSize, observationShape, actionCount }) => parentPort.postMessage({ value: { batchSize, observationShape, actionCount } }),
  (error) => parentPort.postMessage({ error: error.message }),
);
parentPort.on('message', async ({ method, argument }) => {
  try {
    const environment = await made;
    parentPort.postMessage({ value: environment[method](argument) });
  } catch (error) {
    parentPort.postMessage({ error: error.message });
  }
});
`;

interface Part {
  readonly worker: Worker;
  readonly batchSize: number;
  call(method: 'reset' | 'step', argument?: Int32Array): Promise<unknown>;
}

/**
 * Starts threads and makes an environment in each.
 *
 * @param options module and function that make environments, and their options by thread
 * @throws Error if a thread cannot make its environment; RangeError if the environments differ in shape or actions
 */
export async function workerEnvironment({
  module,
  factory,
  options,
}: WorkerEnvironmentOptions): Promise<WorkerEnvironment> {
  assertCount('workerEnvironment: number of options', options.length);
  const workers = options.map((each) => {
    return new Worker(PROGRAM, { eval: true, workerData: { module, factory, options: each } });
  });
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    const described = (await Promise.all(workers.map(answer))) as Omit<VectorEnvironment, 'reset' | 'step'>[];
    const { observationShape, actionCount } = described[0] as VectorEnvironment;
    for (const other of described) {
      if (other.actionCount === actionCount && String(other.observationShape) === String(observationShape)) continue;
      throw new RangeError('workerEnvironment: the environments of the threads differ in shape or actions.');
    }
    const parts = workers.map((worker, i): Part => {
      const call = (method: 'reset' | 'step', argument?: Int32Array) => {
        const later = answer(worker);
        worker.postMessage({ method, argument });
        return later;
      };
      return { worker, batchSize: (described[i] as VectorEnvironment).batchSize, call };
    });
    return {
      batchSize: parts.reduce((sum, { batchSize }) => sum + batchSize, 0),
      observationShape,
      actionCount,
      reset: async () => {
        const observations = await Promise.all(parts.map(({ call }) => call('reset') as Promise<Float32Array>));
        return joined(observations, Float32Array);
      },
      step: async (actions) => joinedSteps(await Promise.all(stepsOf(parts, actions))),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The next message of a worker. */
function answer(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = () => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
    };
    const onMessage = ({ value, error }: { value?: unknown; error?: string }) => {
      done();
      if (error === undefined) resolve(value);
      else reject(new Error(`workerEnvironment: ${error}`));
    };
    const onError = (error: Error) => {
      done();
      reject(error);
    };
    const onExit = () => onError(new Error('workerEnvironment: the thread has ended; make a new environment.'));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
  });
}

function stepsOf(parts: readonly Part[], actions: ArrayLike<number>): Promise<VectorStep>[] {
  const all = Int32Array.from(actions);
  const total = parts.reduce((sum, { batchSize }) => sum + batchSize, 0);
  if (all.length !== total) {
    throw new RangeError(`workerEnvironment: ${total} actions are needed, but there are ${all.length}.`);
  }
  let begin = 0;
  return parts.map(({ batchSize, call }) => {
    const part = all.slice(begin, begin + batchSize);
    begin += batchSize;
    return call('step', part) as Promise<VectorStep>;
  });
}

function joinedSteps(steps: readonly VectorStep[]): VectorStep {
  return {
    observations: joined(
      steps.map((step) => step.observations),
      Float32Array,
    ),
    rewards: joined(
      steps.map((step) => step.rewards),
      Float32Array,
    ),
    ended: joined(
      steps.map((step) => step.ended),
      Uint8Array,
    ),
    solved: joined(
      steps.map((step) => step.solved),
      Uint8Array,
    ),
    episodeReturns: joined(
      steps.map((step) => step.episodeReturns),
      Float64Array,
    ),
  };
}

/** Typed arrays, one behind the other. */
function joined<T extends Float32Array | Float64Array | Uint8Array>(
  parts: readonly T[],
  make: new (length: number) => T,
): T {
  const all = new make(parts.reduce((sum, { length }) => sum + length, 0));
  let begin = 0;
  for (const part of parts) {
    all.set(part, begin);
    begin += part.length;
  }
  return all;
}
