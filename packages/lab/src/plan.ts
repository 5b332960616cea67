/** From what was asked for to all that decides what will be computed. */

import { relative, resolve, sep } from 'node:path';
import { type DeviceInfo, type DeviceName, init, type Json } from '@fwp/core';
import { env } from '@tensorflow/tfjs-core';
import { presetSeeds, resolveConfig } from './config.ts';
import { checkGrid } from './define-experiment.ts';
import { describeEnvironment } from './environment.ts';
import { messageOf, UsageError } from './errors.ts';
import type { Experiment } from './experiment.ts';
import type { ExperimentOrigin } from './registry.ts';
import { RUN_FORMAT, type RunConfig } from './run-folder.ts';
import { checkSeeds } from './seeds.ts';
import type { SessionOptions } from './session.ts';
import { shellWord } from './shell-word.ts';

/** Options of {@link runExperiment}. */
export interface RunOptions extends SessionOptions {
  /** Default `'quick'` if there is one, else the first. */
  readonly preset?: string;
  /** Settings on top of the preset, as `--set` takes them: `'training.steps=100'`. */
  readonly overrides?: readonly string[];
  /** Default: the preset's. */
  readonly seeds?: readonly number[];
  /** Default `'auto'`. */
  readonly device?: DeviceName;
  /** Threads of the CPU engine, or of TensorFlow. Default: the number of processors. */
  readonly threads?: number;
  /** The run folder; it mustn't exist, or be empty. Default: a new one in `runs/`. */
  readonly out?: string;
  /** Where the experiment's code is, if `fwp resume` shall find it. */
  readonly origin?: ExperimentOrigin;
}

/** All that decides what will be computed; starts the device. */
export async function planRun(experiment: Experiment, options: RunOptions): Promise<Omit<RunConfig, 'source'>> {
  const { preset = defaultPreset(experiment), overrides = [], device: wanted = 'auto', threads, origin } = options;
  const config = resolveConfig(experiment, preset, overrides);
  const keys = experiment.trials(config);
  try {
    checkGrid('This configuration', keys, experiment.report);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  const seeds = options.seeds ?? presetSeeds(experiment.presets, preset);
  checkSeeds(seeds);
  const device = await startDevice(wanted, threads);
  const { id, title, description, paper, report } = experiment;
  const versions = origin !== undefined && 'package' in origin ? { [origin.package]: origin.version } : {};
  return {
    version: RUN_FORMAT,
    id,
    title,
    description,
    paper,
    report,
    preset,
    overrides,
    config: config as Json,
    seeds,
    trials: keys.length,
    device,
    environment: await describeEnvironment(origin?.folder ?? process.cwd(), versions),
    started: new Date().toISOString(),
    command: commandOf(experiment.id, preset, seeds, device, options),
  };
}

/** The preset that is run if none is named. */
export function defaultPreset({ presets }: Pick<Experiment, 'presets'>): string {
  return Object.hasOwn(presets, 'quick') ? 'quick' : (Object.keys(presets)[0] as string);
}

/** Threads are the CPU engine's and TensorFlow's; other devices take none. */
export async function startDevice(device: DeviceName, threads: number | undefined): Promise<DeviceInfo> {
  const takesThreads = ['auto', 'native', 'wasm', 'tensorflow'].includes(device);
  if (!takesThreads && threads !== undefined && threads > 1) {
    throw new UsageError(`Threads can be chosen for devices 'native', 'wasm' and 'tensorflow', not for '${device}'.`);
  }
  // The device's notes say what tfjs's greeting says.
  if (device === 'cpu') env().set('PROD', true);
  try {
    return await init({ device, ...(takesThreads && threads !== undefined ? { threads } : {}) });
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

/** Where `fwp resume` finds the code; files relative to the run folder, so that a project can move. */
export function sourceOf(origin: ExperimentOrigin | undefined, folder: string): RunConfig['source'] {
  if (origin === undefined) return null;
  if ('package' in origin) return { package: origin.package };
  return { file: relative(resolve(folder), origin.file).split(sep).join('/') };
}

function commandOf(
  id: string,
  preset: string,
  seeds: readonly number[],
  device: DeviceInfo,
  { overrides = [], origin }: RunOptions,
): string {
  // A file may have other experiments beside this one.
  const what = origin !== undefined && 'file' in origin ? `${relative(process.cwd(), origin.file)}#${id}` : id;
  const settings = overrides.flatMap((override) => ['--set', override]);
  const words = ['fwp', 'run', what, '--preset', preset, '--seed', seeds.join(','), ...settings];
  return [...words, '--device', device.name, '--threads', String(device.threads)].map(shellWord).join(' ');
}
