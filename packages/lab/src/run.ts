/**
 * Runs an experiment: its grid once per seed, trial by trial, into a run folder that survives a kill at any moment.
 *
 * After each trial `results.json` is replaced; a resumed run skips the trials that it has, and the trial that was under
 * way goes on from its last checkpoint. Resumed or not, rows and metrics have the same bits.
 */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { type DeviceInfo, type DeviceName, init, type Json } from '@fwp/core';
import { engine } from '@tensorflow/tfjs-core';
import { prepareCheckpoints, TrialCheckpoints } from './checkpoints.ts';
import { parse, presetSeeds, resolveConfig } from './config.ts';
import { checkGrid } from './define-experiment.ts';
import { describeEnvironment } from './environment.ts';
import { InterruptedError, messageOf, NonFiniteError, RunStoppedError, UsageError } from './errors.ts';
import type { Experiment, Measurements, Row, TrialKey } from './experiment.ts';
import { lockRun } from './lock.ts';
import { MetricsWriter } from './metrics-writer.ts';
import { type Progress, quietProgress } from './progress.ts';
import type { ExperimentOrigin } from './registry.ts';
import { evaluateClaims } from './report/claims.ts';
import {
  type FinishedTrial,
  type Results,
  RUN_FORMAT,
  type RunConfig,
  type RunRecord,
  readRun,
  runPaths,
  writeResults,
  writeRunConfig,
} from './run-folder.ts';
import { Trial } from './trial.ts';
import { canonicalJson, shortHash, trialFileName, trialIdentity, trialName } from './trial-key.ts';

/** What both new and resumed runs take. */
export interface SessionOptions {
  /** Seconds between checkpoints. Default 30. */
  readonly checkpointSeconds?: number;
  /** Steps between checkpoints, besides. Default: by time only. */
  readonly checkpointSteps?: number;
  /** Is told what happens. Default: warnings go to stderr. */
  readonly progress?: Progress;
  /** When it is aborted, the run writes a checkpoint and ends as `'interrupted'`. */
  readonly signal?: AbortSignal;
}

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
  /** Threads of the CPU engine. Default: the number of processors. */
  readonly threads?: number;
  /** The run folder; it mustn't exist, or be empty. Default: a new one in `runs/`. */
  readonly out?: string;
  /** Where the experiment's code is, if `fwp resume` shall find it. */
  readonly origin?: ExperimentOrigin;
}

/** What {@link dryRun} found out about a trial. */
export interface DryRunTrial {
  readonly key: TrialKey;
  /** Steps that the trial makes at most. */
  readonly steps: number;
  /** Time of the second step. */
  readonly secondsPerStep: number;
  /** Trainable numbers; null if there is no module. */
  readonly parameters: number | null;
}

/** What {@link dryRun} returns. */
export interface DryRun {
  readonly preset: string;
  readonly config: Json;
  readonly seeds: readonly number[];
  readonly device: DeviceInfo;
  /** One seed's trials. */
  readonly trials: readonly DryRunTrial[];
  /** What all seeds take at most, without evaluations. */
  readonly estimatedSeconds: number;
}

/**
 * Runs an experiment.
 *
 * @returns the run, complete or (if `signal` was aborted) interrupted
 * @throws UsageError for unknown presets, settings or values, and for a folder that isn't empty
 * @throws DeviceUnavailableError if the device is not there
 * @throws NonFiniteError if a number that was logged is NaN or infinite
 */
export async function runExperiment(experiment: Experiment, options: RunOptions = {}): Promise<RunRecord> {
  const plan = await planRun(experiment, options);
  const folder = options.out ?? defaultFolder(plan);
  const unlock = await prepareFolder(folder);
  try {
    await writeRunConfig(folder, { ...plan, source: sourceOf(options.origin, folder) });
    return await work(experiment, folder, options);
  } catch (error) {
    throw withWayOut(error, folder);
  } finally {
    unlock();
  }
}

/**
 * Goes on with a run that was interrupted, killed or failed; a complete one gets a new report.
 *
 * @param experiment the one that the run is of; its code must be the same
 * @throws UsageError if the folder isn't a run of the experiment, or another process works on it
 */
export async function resumeRun(
  experiment: Experiment,
  folder: string,
  options: SessionOptions = {},
): Promise<RunRecord> {
  const run = await readRun(folder);
  const { config } = run;
  if (config.id !== experiment.id) {
    throw new UsageError(`${folder} is a run of '${config.id}', not of '${experiment.id}'.`);
  }
  const { progress = quietProgress(process.stderr) } = options;
  const unlock = await lockRun(folder);
  try {
    if (run.results.state === 'complete') {
      await report(experiment, folder, progress);
      return run;
    }
    const { simd } = await startDevice(config.device.name, config.device.threads);
    if (simd !== config.device.simd) {
      progress.warn(`The run began on ${config.device.simd}, this is ${simd}: the last digits of results may differ.`);
    }
    return await work(experiment, folder, options);
  } catch (error) {
    throw withWayOut(error, folder);
  } finally {
    unlock();
  }
}

/** Makes two steps of every trial of the first seed in a temporary folder, and says what the run would take. */
export async function dryRun(experiment: Experiment, options: RunOptions = {}): Promise<DryRun> {
  const plan = await planRun(experiment, options);
  const folder = await mkdtemp(join(tmpdir(), 'fwp-dry-run-'));
  try {
    const config: RunConfig = { ...plan, seeds: plan.seeds.slice(0, 1), source: sourceOf(options.origin, folder) };
    await writeRunConfig(folder, config);
    const trials: DryRunTrial[] = [];
    const { results } = await work(experiment, folder, options, (key, { loops, parameters }) => {
      const steps = loops.reduce((sum, { total }) => sum + total, 0);
      const seconds = loops.reduce((sum, { total, stepSeconds }) => sum + total * stepSeconds, 0);
      trials.push({ key, steps, secondsPerStep: steps === 0 ? 0 : seconds / steps, parameters });
    });
    if (results.state === 'interrupted') throw new InterruptedError('Interrupted.');
    const perSeed = trials.reduce((sum, { steps, secondsPerStep }) => sum + steps * secondsPerStep, 0);
    const { preset, seeds, device } = plan;
    return { preset, config: plan.config, seeds, device, trials, estimatedSeconds: perSeed * seeds.length };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The preset that is run if none is named. */
export function defaultPreset({ presets }: Pick<Experiment, 'presets'>): string {
  return Object.hasOwn(presets, 'quick') ? 'quick' : (Object.keys(presets)[0] as string);
}

/** Threads are the CPU engine's; other devices take none. */
async function startDevice(device: DeviceName, threads: number | undefined): Promise<DeviceInfo> {
  const isEngine = ['auto', 'native', 'wasm'].includes(device);
  if (!isEngine && threads !== undefined && threads > 1) {
    throw new UsageError(`Threads can be chosen for devices 'native' and 'wasm', not for '${device}'.`);
  }
  try {
    return await init({ device, ...(isEngine && threads !== undefined ? { threads } : {}) });
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

/** All that decides what will be computed; starts the device. */
async function planRun(experiment: Experiment, options: RunOptions): Promise<Omit<RunConfig, 'source'>> {
  const { preset = defaultPreset(experiment), overrides = [], device: wanted = 'auto', threads, origin } = options;
  const config = resolveConfig(experiment, preset, overrides);
  const keys = experiment.trials(config);
  try {
    checkGrid('This configuration', keys, experiment.report);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  const seeds = options.seeds ?? presetSeeds(experiment.presets, preset);
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

/** Goes through the trials that `results.json` doesn't have. The lock is held, the device ready. */
async function work(
  experiment: Experiment,
  folder: string,
  options: SessionOptions,
  tried?: (key: TrialKey, trial: Trial) => void,
): Promise<RunRecord> {
  const { checkpointSeconds = 30, checkpointSteps, signal, progress = quietProgress(process.stderr) } = options;
  const paths = runPaths(folder);
  const record = await readRun(folder);
  const { seeds } = record.config;
  const config = storedConfig(experiment, record.config);
  const grid = seeds.flatMap((seed) => experiment.trials(config).map((key) => ({ seed, key })));
  let results: Results = { ...record.results, state: 'running', error: null, published: experiment.published };
  const finished = new Set(results.trials.map(({ key, seed }) => trialIdentity(key, seed)));
  assertSameGrid(finished, grid, folder);
  const began = performance.now();
  const secondsBefore = results.seconds;
  const store = async (changes: Partial<Results>): Promise<void> => {
    const seconds = secondsBefore + (performance.now() - began) / 1000;
    const rows = changes.rows ?? results.rows;
    results = { ...results, seconds, claims: evaluateClaims(experiment, rows), ...changes };
    await writeResults(folder, results);
  };

  await prepareCheckpoints(paths.checkpoints);
  const metrics = new MetricsWriter(paths.metrics);
  progress.runStarted({ folder, config: record.config, trials: grid.length, finished: finished.size });
  try {
    await store({});
    for (const { seed, key } of grid) {
      if (finished.has(trialIdentity(key, seed))) continue;
      if (signal?.aborted) throw new InterruptedError('Interrupted between two trials.');
      const checkpoints = new TrialCheckpoints(paths.checkpoints, trialFileName(key, seed));
      const recovered = await checkpoints.recover((message) => progress.warn(message));
      if (!metrics.truncate(recovered.at(-1)?.metricsBytes ?? results.metricsBytes)) {
        progress.warn(`${paths.metrics} is shorter than it was: some of its lines are lost.`);
      }
      const artifacts = paths.artifacts;
      const trial = new Trial({
        ...{ config, key, seed, dryRun: tried !== undefined, metrics, checkpoints, recovered, artifacts },
        ...{ checkpointSeconds, checkpointSteps, progress, signal },
      });
      progress.trialStarted(trial.name);
      const measured = await runTrial(experiment, trial);
      if (tried === undefined) assertMeasurements(measured, key, seed, config);
      else tried(key, trial);
      metrics.sync();
      const done: FinishedTrial = {
        seed,
        key,
        steps: trial.steps,
        seconds: trial.seconds,
        parameters: trial.parameters,
      };
      await store({
        rows: [...results.rows, { ...key, ...measured, seed } as Row],
        trials: [...results.trials, done],
        metricsBytes: metrics.bytes,
      });
      await checkpoints.clear();
      progress.trialFinished(trial.name, measured, trial.seconds);
    }
    await store({ state: 'complete' });
  } catch (error) {
    const isInterrupted = error instanceof InterruptedError;
    const state = isInterrupted ? 'interrupted' : 'failed';
    await attempt(() => metrics.flush());
    await attempt(() => store({ state, error: isInterrupted ? null : messageOf(error) }));
    if (!isInterrupted) throw error;
  } finally {
    progress.close();
    metrics.close();
  }
  if (tried === undefined) await report(experiment, folder, progress);
  return readRun(folder);
}

/** Does what may fail because of the error that is being handled already: that one is to be told. */
async function attempt(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch {
    // The disk is full, for example.
  }
}

/** Runs the code of a trial and frees the variables that it leaves. */
async function runTrial(experiment: Experiment, trial: Trial): Promise<Measurements> {
  const { registeredVariables } = engine();
  const before = new Set(Object.keys(registeredVariables));
  try {
    const measured = await experiment.run(trial.context);
    if (trial.interruption === undefined) return measured;
  } catch (error) {
    if (trial.interruption === undefined) {
      await trial.fail();
      throw error;
    }
  } finally {
    for (const [name, variable] of Object.entries(engine().registeredVariables)) {
      if (!before.has(name)) variable.dispose();
    }
  }
  // Whatever the trial's code made of it.
  throw trial.interruption;
}

/** The report is worth less than the run: what goes wrong with it is told, no more. */
async function report(experiment: Experiment, folder: string, progress: Progress): Promise<void> {
  try {
    // Drawing charts takes libraries that nothing else needs.
    const { writeReport } = await import('./report/write-report.ts');
    await writeReport(folder, experiment);
  } catch (error) {
    progress.warn(
      `The report couldn't be written: ${messageOf(error)} Try again with: fwp report ${shellWord(folder)}`,
    );
  }
}

/** The configuration in `config.json`, as the schema has it now. */
function storedConfig(experiment: Experiment, { id, config }: RunConfig): unknown {
  const parsed = parse(experiment.config, config, `The configuration of this run of '${id}'`);
  if (canonicalJson(parsed) === canonicalJson(config)) return parsed;
  throw new UsageError(
    `The settings of '${id}' are not those that this run began with: its code changed. Run it anew, or go back to the revision in config.json.`,
  );
}

function assertSameGrid(
  finished: ReadonlySet<string>,
  grid: readonly { readonly key: TrialKey; readonly seed: number }[],
  folder: string,
): void {
  const known = new Set(grid.map(({ key, seed }) => trialIdentity(key, seed)));
  const strange = [...finished].find((trial) => !known.has(trial));
  if (strange === undefined) return;
  throw new UsageError(
    `${folder} has the trial ${strange}, which the grid doesn't have any more: the experiment's code changed. Run it anew.`,
  );
}

/** What a trial returned must be cells of a table that don't hide its key. */
function assertMeasurements(measured: Measurements, key: TrialKey, seed: number, config: unknown): void {
  if (typeof measured !== 'object' || measured === null) {
    throw new TypeError(`Trial ${trialName(key, seed)} returned ${measured}; expected an object of measurements.`);
  }
  for (const [field, value] of Object.entries(measured)) {
    const where = `Trial ${trialName(key, seed)} returned ${field} ${value}`;
    if (field === 'seed' || Object.hasOwn(key, field))
      throw new RangeError(`${where}, but '${field}' is a field of its key.`);
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new NonFiniteError(
        `${where}. Return null for what could not be measured. Configuration: ${JSON.stringify(config)}`,
      );
    }
    if (value !== null && !['number', 'string', 'boolean'].includes(typeof value)) {
      throw new TypeError(`${where}; expected a number, a string, a boolean or null.`);
    }
  }
}

/** `runs/deltanet-capacity/quick-20260131-154502-3fa1`. */
function defaultFolder({ id, preset, config, seeds, started }: Omit<RunConfig, 'source'>): string {
  const date = new Date(started);
  const digits = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${digits(date.getMonth() + 1)}${digits(date.getDate())}`;
  const time = `${digits(date.getHours())}${digits(date.getMinutes())}${digits(date.getSeconds())}`;
  return join('runs', id.replaceAll('/', '-'), `${preset}-${day}-${time}-${shortHash([config, seeds])}`);
}

/**
 * Makes the folder of a new run and locks it.
 *
 * @throws UsageError if it can't be one
 */
async function prepareFolder(folder: string): Promise<() => void> {
  await assertNewFolder(folder);
  try {
    await mkdir(folder, { recursive: true });
    return await lockRun(folder);
  } catch (error) {
    const problem = fileProblem(error);
    throw problem === undefined ? error : new UsageError(`${problem}. Choose another folder with --out.`);
  }
}

async function assertNewFolder(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    throw code === 'ENOTDIR' ? new UsageError(`${folder} is not a folder.`) : error;
  }
  if (names.length === 0) return;
  if (existsSync(runPaths(folder).config)) {
    throw new UsageError(
      `There is a run in ${folder} already. Go on with it: fwp resume ${shellWord(folder)}; or choose another folder with --out.`,
    );
  }
  throw new UsageError(`${folder} isn't empty. Choose another folder with --out.`);
}

/** Where `fwp resume` finds the code; files relative to the run folder, so that a project can move. */
function sourceOf(origin: ExperimentOrigin | undefined, folder: string): RunConfig['source'] {
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
  const what = origin !== undefined && 'file' in origin ? relative(process.cwd(), origin.file) : id;
  const settings = overrides.flatMap((override) => ['--set', override]);
  const words = ['fwp', 'run', what, '--preset', preset, '--seed', seeds.join(','), ...settings];
  return [...words, '--device', device.name, '--threads', String(device.threads)].map(shellWord).join(' ');
}

/** A word as a shell takes it. */
export function shellWord(word: string): string {
  return /^[\w./=:,@+~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Errors of the file system, with what to do about them; all others as they are. */
function withWayOut(error: unknown, folder: string): unknown {
  const problem = fileProblem(error);
  if (problem === undefined) return error;
  const message = `${problem}. Nothing that was written is lost; go on with: fwp resume ${shellWord(folder)}`;
  return new RunStoppedError(message, { cause: error });
}

/** An error of the file system in words: what, and where. */
function fileProblem(error: unknown): string | undefined {
  const { code = '', path, message } = error as NodeJS.ErrnoException;
  const problem = FILE_PROBLEMS[code];
  return problem === undefined ? undefined : `${problem}: ${path ?? message}`;
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EFBIG: 'A file would exceed the limit of its size',
  EROFS: 'The disk is read-only',
  EACCES: 'There is no permission to write',
  EPERM: 'There is no permission to write',
  EIO: 'The disk reports an error',
};
