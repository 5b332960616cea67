/**
 * One session of a run: goes through the trials that aren't finished, and leaves the folder so that another session can go
 * on, whatever ends this one.
 */

import { engine } from '@tensorflow/tfjs-core';
import { prepareCheckpoints, TrialCheckpoints } from './checkpoints.ts';
import { parse } from './config.ts';
import { InterruptedError, messageOf, NonFiniteError, UsageError } from './errors.ts';
import type { Experiment, Measurements, Row, TrialKey } from './experiment.ts';
import { MetricsWriter } from './metrics-writer.ts';
import { type Progress, quietProgress } from './progress.ts';
import { evaluateClaims } from './report/claims.ts';
import {
  type FinishedTrial,
  type Results,
  type RunConfig,
  type RunRecord,
  readRun,
  runPaths,
  writeResults,
} from './run-folder.ts';
import { shellWord } from './shell-word.ts';
import { type LoopObserver, Trial } from './trial.ts';
import { canonicalJson, trialFileName, trialIdentity, trialName } from './trial-key.ts';

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

/** Looks on in a dry run. */
export interface TrialObserver extends LoopObserver {
  trialFinished(key: TrialKey, seed: number, trial: Trial): void;
}

/**
 * Goes through the trials that `results.json` doesn't have. The lock is held, the device ready.
 *
 * @param observer makes it a dry run: is told about each trial, and nothing is reported
 */
export async function work(
  experiment: Experiment,
  folder: string,
  options: SessionOptions,
  observer?: TrialObserver,
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

  const next = grid.find(({ key, seed }) => !finished.has(trialIdentity(key, seed)));
  await prepareCheckpoints(paths.checkpoints, next && trialFileName(next.key, next.seed));
  const metrics = new MetricsWriter(paths.metrics);
  progress.runStarted({
    ...(observer === undefined ? { folder } : {}),
    config: record.config,
    trials: grid.length,
    finished: finished.size,
  });
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
        ...{ config, key, seed, observer, metrics, checkpoints, recovered, artifacts },
        ...{ checkpointSeconds, checkpointSteps, progress, signal },
      });
      progress.trialStarted(trial.name);
      const measured = await runTrial(experiment, trial);
      if (observer === undefined) assertMeasurements(measured, key, seed, config);
      else observer.trialFinished(key, seed, trial);
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
      // What two steps make of a measurement says nothing.
      progress.trialFinished(trial.name, observer === undefined ? measured : {}, trial.seconds);
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
  if (observer === undefined) await report(experiment, folder, progress);
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
  const before = new Set(Object.keys(engine().registeredVariables));
  try {
    const measured = await experiment.run(trial.context);
    if (trial.interruption === undefined) return measured;
  } catch (error) {
    if (trial.interruption === undefined) {
      await attempt(() => trial.fail());
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
export async function report(experiment: Experiment, folder: string, progress: Progress): Promise<void> {
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
