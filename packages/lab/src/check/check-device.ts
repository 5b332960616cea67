/**
 * Whether a device computes what another one does: the first training steps of every trial of an experiment on both, loss by
 * loss and gradient by gradient.
 *
 * Claims are about what a trained model does, and may hold although a gradient is wrong. A wrong kernel shows here in seconds.
 */

import { type DeviceInfo, type DeviceName, dispose, type Json } from '@fwp/core';
import { UsageError } from '../errors.ts';
import type { Experiment, TrialKey } from '../experiment.ts';
import type { RunOptions } from '../plan.ts';
import { canonicalJson } from '../trial-key.ts';
import { type RecordedTensor, type RecordedTrial, type RecordedUpdate, recordTrials } from './record-trials.ts';
import { distance } from './sketch.ts';

/** Gradients that are this much smaller than all of the update together are rounding errors. */
const SMALLEST_SHARE = 1e-3;
/** After an update, devices go on from parameters that are not quite the same: so many times the tolerance. */
export const LATER_FACTOR = 100;
/** Losses below are compared as if they were as large. */
const SMALLEST_LOSS = 1e-3;

/** Options of {@link checkDevice}. */
export interface DeviceCheckOptions
  extends Pick<RunOptions, 'preset' | 'overrides' | 'seeds' | 'origin' | 'progress' | 'signal'> {
  /** The device that is checked. */
  readonly device: DeviceName;
  /** The one that is believed. Default `'wasm'`. */
  readonly against?: DeviceName;
  /** Largest relative difference that is none, until the first update; a hundred times as much after it. Default 1e-4. */
  readonly tolerance?: number;
}

/** A tensor, or a loss, that differs. */
export interface TensorDifference {
  /** `'update 2: gradient of blocks.0.query.kernel'`. */
  readonly what: string;
  readonly shape: readonly number[];
  /** Norm of the difference relative to that of the tensor; null if it can't be told. */
  readonly difference: number | null;
  /** What the checked device has: the norm, or the loss; null if it has none. */
  readonly value: number | null;
  /** The same of the device that is believed. */
  readonly expected: number | null;
}

/** What {@link checkDevice} found out about a trial. Differences are relative; null where there is nothing to compare. */
export interface TrialCheck {
  readonly key: TrialKey;
  readonly seed: number;
  /** Updates of parameters that were compared. */
  readonly updates: number;
  /** How many losses, gradients and buffers were compared. */
  readonly compared: number;
  /** Of the loss of the first update. */
  readonly loss: number | null;
  /** Largest of a parameter's gradient in the first update, by its norm or a thousandth of that of all gradients of the update. */
  readonly gradients: number | null;
  /** Largest of losses and gradients of later updates. */
  readonly later: number | null;
  /** Largest of what modules keep besides parameters (codebooks, counts). */
  readonly buffers: number | null;
  /** Those beyond the tolerance. */
  readonly differences: readonly TensorDifference[];
}

/** What {@link checkDevice} returns. */
export interface DeviceCheck {
  readonly id: string;
  readonly preset: string;
  readonly config: Json;
  readonly device: DeviceInfo;
  readonly against: DeviceInfo;
  readonly tolerance: number;
  readonly trials: readonly TrialCheck[];
  /** Whether anything was compared, and nothing differs. */
  readonly agrees: boolean;
}

/**
 * Makes the first two training steps of every trial on two devices, one after the other, and compares losses, the gradients of
 * all parameters and, after the steps, the buffers of modules. Differences of gradients are estimated
 * (within a fifth or so) from what is kept of each, so that models of any size fit.
 *
 * Only what the experiment gives to `steps` is seen: its `optimizer` and its `module`. The checked device stays the current one.
 * Without `seeds`, the first one of the preset is checked.
 *
 * Rounding can tip over what jumps: which side of 0 a ReLU is on, which experts are the top K. That gives a difference in one seed;
 * a wrong kernel gives it in each. Later updates are compared less strictly, as Adam's first step is as large for a gradient that is
 * nothing but rounding as for any other.
 *
 * @throws UsageError for unknown presets or settings, and if both devices are the same
 * @throws DeviceUnavailableError if a device is not there
 */
export async function checkDevice(experiment: Experiment, options: DeviceCheckOptions): Promise<DeviceCheck> {
  const { device, against = 'wasm', tolerance = 1e-4, ...rest } = options;
  if (!(tolerance > 0)) throw new UsageError(`The tolerance is ${tolerance}; expected a positive number.`);
  if (device === against) throw new UsageError(`Device '${device}' can only be checked against another one.`);
  const expected = await recordTrials(experiment, { ...rest, device: against });
  await dispose();
  const actual = await recordTrials(experiment, { ...rest, device });
  const trials = actual.trials.map((trial, index) =>
    checkTrial(trial, expected.trials[index] as RecordedTrial, tolerance),
  );
  const { id, preset, config } = actual.plan;
  return {
    ...{ id, preset, config, tolerance, trials },
    ...{ device: actual.plan.device, against: expected.plan.device },
    agrees: trials.some(({ compared }) => compared > 0) && trials.every(({ differences }) => differences.length === 0),
  };
}

/** A comparison before it is known whether it matters. */
interface Compared extends TensorDifference {
  readonly kind: 'loss' | 'gradients' | 'later' | 'buffers';
}

function checkTrial(actual: RecordedTrial, expected: RecordedTrial, tolerance: number): TrialCheck {
  const compared = [
    ...longer(actual.updates, expected.updates).flatMap((_, i) => {
      const ofUpdate = compareUpdates(`update ${i + 1}`, actual.updates[i], expected.updates[i]);
      return i === 0 ? ofUpdate : ofUpdate.map((each): Compared => ({ ...each, kind: 'later' }));
    }),
    ...longer(actual.buffers, expected.buffers).flatMap((_, i) =>
      compareMaps('buffers', `after loop ${i + 1}: `, actual.buffers[i], expected.buffers[i], 0),
    ),
  ];
  const largest = (wanted: Compared['kind']): number | null => {
    const ofKind = compared.filter(({ kind }) => kind === wanted);
    return ofKind.length === 0 ? null : Math.max(...ofKind.map(({ difference }) => difference ?? Number.NaN));
  };
  const isUpdated = expected.updates.length > 0;
  const limit = (kind: Compared['kind']): number =>
    kind === 'later' || (kind === 'buffers' && isUpdated) ? LATER_FACTOR * tolerance : tolerance;
  return {
    ...{ key: actual.key, seed: actual.seed },
    updates: Math.min(actual.updates.length, expected.updates.length),
    compared: compared.length,
    ...{ loss: largest('loss'), gradients: largest('gradients') },
    ...{ later: largest('later'), buffers: largest('buffers') },
    differences: compared
      .filter(({ kind, difference }) => difference === null || difference > limit(kind))
      .map(({ kind: _, ...difference }) => difference),
  };
}

function compareUpdates(
  what: string,
  actual: RecordedUpdate | undefined,
  expected: RecordedUpdate | undefined,
): Compared[] {
  const norms = [...(expected?.gradients.values() ?? [])].map((tensor) => tensor.sketch.norm);
  const gradients = compareMaps(
    'gradients',
    `${what}: gradient of `,
    actual?.gradients,
    expected?.gradients,
    SMALLEST_SHARE * Math.hypot(...norms),
  );
  if (actual?.loss === undefined && expected?.loss === undefined) return gradients;
  const loss = compare(
    { kind: 'loss', what: `${what}: loss`, shape: [] },
    actual?.loss,
    expected?.loss,
    () => Math.abs((actual?.loss as number) - (expected?.loss as number)),
    SMALLEST_LOSS,
  );
  return [loss, ...gradients];
}

function compareMaps(
  kind: Compared['kind'],
  prefix: string,
  actual: ReadonlyMap<string, RecordedTensor> = new Map(),
  expected: ReadonlyMap<string, RecordedTensor> = new Map(),
  smallest: number,
): Compared[] {
  return [...new Set([...expected.keys(), ...actual.keys()])].map((name) => {
    const [ours, theirs] = [actual.get(name), expected.get(name)];
    const { shape } = (ours ?? theirs) as RecordedTensor;
    const apart = (): number => {
      const hasSameShape = canonicalJson(ours?.shape) === canonicalJson(theirs?.shape);
      return hasSameShape ? distance((ours as RecordedTensor).sketch, (theirs as RecordedTensor).sketch) : Number.NaN;
    };
    return compare({ kind, what: `${prefix}${name}`, shape }, ours?.sketch.norm, theirs?.sketch.norm, apart, smallest);
  });
}

/**
 * @param apart the difference of two that are there
 * @param smallest a value that is smaller counts as this large
 */
function compare(
  about: Pick<Compared, 'kind' | 'what' | 'shape'>,
  value: number | undefined,
  expected: number | undefined,
  apart: () => number,
  smallest: number,
): Compared {
  const sides = { value: value ?? null, expected: expected ?? null };
  if (value === undefined || expected === undefined) return { ...about, ...sides, difference: null };
  const absolute = apart();
  const relative = absolute === 0 ? 0 : absolute / Math.max(Math.abs(expected), smallest);
  return { ...about, ...sides, difference: Number.isNaN(relative) ? null : relative };
}

function longer<T>(a: readonly T[], b: readonly T[]): readonly T[] {
  return a.length > b.length ? a : b;
}
