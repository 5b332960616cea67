/**
 * Runs an experiment: its grid once per seed, trial by trial, into a run folder that survives a kill at any moment.
 *
 * After each trial `results.json` is replaced; a resumed run skips the trials that it has, and the trial that was under
 * way goes on from its last checkpoint. Resumed or not, rows and metrics have the same bits.
 */

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceInfo, Json } from '@fwp/core';
import { InterruptedError, UsageError } from './errors.ts';
import type { Experiment, TrialKey } from './experiment.ts';
import { withWayOut } from './file-problems.ts';
import { lockRun } from './lock.ts';
import { defaultFolder, prepareFolder } from './new-folder.ts';
import { planRun, type RunOptions, sourceOf, startDevice } from './plan.ts';
import { quietProgress } from './progress.ts';
import { type RunConfig, type RunRecord, readRun, writeRunConfig } from './run-folder.ts';
import { report, type SessionOptions, work } from './session.ts';

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
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // A second Ctrl-C ends the process here.
  process.on('exit', remove);
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
    process.off('exit', remove);
    remove();
  }
}
