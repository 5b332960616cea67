/** What the first training steps of every trial compute on a device: losses, gradients by parameter, and buffers. */

import type { DeviceName, ObservedUpdate } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { tryTrials } from '../dry-run.ts';
import type { Experiment, TrialKey } from '../experiment.ts';
import { planRun, type RunOptions } from '../plan.ts';
import { readValues } from '../read-values.ts';
import type { RunConfig } from '../run-folder.ts';
import { type Sketch, sketch } from './sketch.ts';

/** A tensor of which a sketch is kept. */
export interface RecordedTensor {
  readonly shape: readonly number[];
  readonly sketch: Sketch;
}

/** An optimizer's update. */
export interface RecordedUpdate {
  /** By parameter, `scale` included. */
  readonly gradients: ReadonlyMap<string, RecordedTensor>;
  /** Undefined where the optimizer was not told it. */
  readonly loss: number | undefined;
}

/** What a trial computed. */
export interface RecordedTrial {
  readonly key: TrialKey;
  readonly seed: number;
  readonly updates: readonly RecordedUpdate[];
  /** What modules keep besides parameters, at the end of each loop, by path. */
  readonly buffers: readonly ReadonlyMap<string, RecordedTensor>[];
}

/** All trials on one device. */
export interface RecordedTrials {
  readonly plan: Omit<RunConfig, 'source'>;
  readonly trials: readonly RecordedTrial[];
}

/**
 * Makes two steps of every trial and keeps what they computed. Nobody waits for a GPU in between.
 *
 * @param options with a device. Without seeds, the preset's first one is used
 */
export async function recordTrials(
  experiment: Experiment,
  options: RunOptions & { readonly device: DeviceName },
): Promise<RecordedTrials> {
  const trials: Promise<RecordedTrial>[] = [];
  let updates: Promise<RecordedUpdate>[] = [];
  let buffers: Promise<ReadonlyMap<string, RecordedTensor>>[] = [];
  const planned = await planRun(experiment, options);
  const plan = options.seeds === undefined ? { ...planned, seeds: planned.seeds.slice(0, 1) } : planned;
  await tryTrials(experiment, plan, options, {
    loopStarted: ({ optimizer }) => {
      if (optimizer === undefined) return;
      optimizer.onUpdate = (update) => updates.push(later(observeUpdate(update)));
    },
    loopEnded: ({ module, optimizer }) => {
      if (optimizer !== undefined) optimizer.onUpdate = undefined;
      if (module !== undefined) buffers.push(later(recordTensors(module.namedBuffers())));
    },
    trialFinished: (key, seed) => {
      trials.push(later(recordTrial(key, seed, updates, buffers)));
      [updates, buffers] = [[], []];
    },
  });
  return { plan, trials: await Promise.all(trials) };
}

async function recordTrial(
  key: TrialKey,
  seed: number,
  updates: readonly Promise<RecordedUpdate>[],
  buffers: readonly Promise<ReadonlyMap<string, RecordedTensor>>[],
): Promise<RecordedTrial> {
  return { key, seed, updates: await Promise.all(updates), buffers: await Promise.all(buffers) };
}

async function observeUpdate({ gradients, scale, loss }: ObservedUpdate): Promise<RecordedUpdate> {
  const reads = [recordTensors(gradients, scale), loss === undefined ? undefined : readValues(kept(loss))] as const;
  const [recorded, value] = await Promise.all(reads);
  return { gradients: recorded, loss: value?.[0] };
}

/** The sketches come later; what is sketched is what the tensors hold now. */
async function recordTensors(
  tensors: ReadonlyMap<string, tf.Tensor>,
  scale = 1,
): Promise<ReadonlyMap<string, RecordedTensor>> {
  const entries = [...tensors].map(async ([name, tensor]): Promise<[string, RecordedTensor]> => {
    const values = await readValues(kept(tensor));
    return [name, { shape: tensor.shape, sketch: sketch(scale === 1 ? values : values.map((x) => x * scale)) }];
  });
  return new Map(await Promise.all(entries));
}

/** A promise that is awaited at the end. If it fails because the device was lost, the step that fails with it tells so. */
function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** A clone that outlives the tidy around it. */
function kept(tensor: tf.Tensor): tf.Tensor {
  return tf.keep(tensor.clone());
}
