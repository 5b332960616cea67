/**
 * Runs an experiment: its grid once per seed, trial by trial, into a run folder that survives a kill at any moment.
 *
 * After each trial `results.json` is replaced; a resumed run skips the trials that it has, and the trial that was under
 * way goes on from its last checkpoint. Resumed or not, rows and metrics have the same bits.
 */

import { UsageError } from './errors.ts';
import type { Experiment } from './experiment.ts';
import { withWayOut } from './file-problems.ts';
import { lockRun } from './lock.ts';
import { defaultFolder, prepareFolder } from './new-folder.ts';
import { planRun, type RunOptions, sourceOf, startDevice } from './plan.ts';
import { quietProgress } from './progress.ts';
import { type RunRecord, readRun, writeRunConfig } from './run-folder.ts';
import { report, type SessionOptions, work } from './session.ts';

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
