/** Runs of one experiment side by side: the same trials aligned by their keys, and the settings that differ. */

import { basename, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Cell, Row, TrialKey } from '../experiment.ts';
import { groupBy } from '../report/comparison-table.ts';
import { flattenSettings } from '../report/flatten-settings.ts';
import { keyFieldsOf } from '../report/report-data.ts';
import { type Summary, summarize } from '../report/statistics.ts';
import { type RunRecord, readRun } from '../run-folder.ts';
import { suggestion } from '../suggest.ts';

/** What `fwp compare --json` prints. */
export interface Comparison {
  /** The experiment's id. */
  readonly id: string;
  /** The measurement that is compared. */
  readonly metric: string;
  readonly keyFields: readonly string[];
  /** The first one is what the others are compared with. */
  readonly runs: readonly ComparedRun[];
  readonly rows: readonly ComparedRow[];
  readonly settings: readonly DifferingSetting[];
}

/** One of the runs. */
export interface ComparedRun {
  /** Name of its folder; the whole path if two have the same name. */
  readonly name: string;
  readonly folder: string;
  readonly state: string;
  readonly seconds: number;
  readonly claims: { readonly held: number; readonly measured: number };
}

/** One trial, in all runs. */
export interface ComparedRow {
  readonly key: TrialKey;
  /** For each run; null if it has no such trial or no number there. */
  readonly values: readonly (ComparedValue | null)[];
}

/** What one run measured. */
export interface ComparedValue extends Omit<Summary, 'std'> {
  readonly std: number | null;
  /** This run's mean minus the first run's; null for the first one. */
  readonly difference: number | null;
  /** This run's mean divided by the first run's; null for the first one, and where that is 0. */
  readonly ratio: number | null;
}

/** A setting (or a circumstance) that isn't the same in all runs. */
export interface DifferingSetting {
  readonly name: string;
  /** For each run; null where it has no such setting. */
  readonly values: readonly (string | null)[];
}

/**
 * Reads runs for {@link compareRuns}.
 *
 * @throws UsageError if there are fewer than two, or one isn't a run
 */
export async function readRuns(folders: readonly string[]): Promise<RunRecord[]> {
  if (folders.length < 2) {
    throw new UsageError('A comparison needs at least two runs: fwp compare <run> <run> …');
  }
  return Promise.all(folders.map((folder) => readRun(resolve(folder))));
}

/**
 * Compares runs of the same experiment.
 *
 * @param metric what is compared. Default: the metric of the experiment's table
 * @throws UsageError if the runs are of different experiments, or none has this measurement
 */
export function compareRuns(runs: readonly RunRecord[], metric?: string): Comparison {
  const [first, ...others] = runs as [RunRecord, ...RunRecord[]];
  const stranger = others.find(({ config }) => config.id !== first.config.id);
  if (stranger !== undefined) {
    throw new UsageError(
      `These are runs of different experiments: ${first.folder} is '${first.config.id}', ${stranger.folder} is ` +
        `'${stranger.config.id}'. Only runs of the same experiment can be compared.`,
    );
  }
  const measured = metric ?? first.config.report.metric;
  checkMetric(runs, measured);
  const keyFields = [...new Set(runs.flatMap((run) => keyFieldsOf(run, run.config.report)))];
  const rows = runs.flatMap(({ results }, index) => results.rows.map((row) => ({ ...row, [RUN_FIELD]: index })));
  return {
    id: first.config.id,
    metric: measured,
    keyFields,
    runs: describeRuns(runs),
    rows: groupBy(rows, keyFields).map((group) => compareTrial(group, keyFields, measured, runs.length)),
    settings: differingSettings(runs),
  };
}

/** Names of the runs: those of their folders, or the whole paths if two are the same. */
export function runNames(runs: readonly RunRecord[]): string[] {
  const names = runs.map(({ folder }) => basename(resolve(folder)));
  return new Set(names).size === names.length ? names : runs.map(({ folder }) => folder);
}

/** No field of a row can be called like this. */
const RUN_FIELD = '';

function compareTrial(group: readonly Row[], keyFields: readonly string[], metric: string, count: number): ComparedRow {
  const summaries = Array.from({ length: count }, (_, index) => {
    const numbers = group.filter((row) => row[RUN_FIELD] === index).map((row) => row[metric]);
    return summarize(numbers.filter((value) => typeof value === 'number'));
  });
  const base = summaries[0]?.mean;
  const values = summaries.map((summary, index) => {
    if (summary === undefined) return null;
    const { mean, std, count: seeds } = summary;
    const compared = index > 0 && base !== undefined;
    return {
      mean,
      std: std ?? null,
      count: seeds,
      difference: compared ? mean - base : null,
      ratio: compared && base !== 0 ? mean / base : null,
    };
  });
  const row = group[0] as Row;
  return { key: Object.fromEntries(keyFields.map((field): [string, Cell] => [field, row[field] ?? null])), values };
}

function describeRuns(runs: readonly RunRecord[]): ComparedRun[] {
  const names = runNames(runs);
  return runs.map(({ folder, results }, index) => {
    const measured = results.claims.filter(({ pass }) => pass !== null);
    return {
      name: names[index] as string,
      folder,
      state: results.state,
      seconds: results.seconds,
      claims: { held: measured.filter(({ pass }) => pass).length, measured: measured.length },
    };
  });
}

function differingSettings(runs: readonly RunRecord[]): DifferingSetting[] {
  const settings = runs.map((run) => new Map([...circumstances(run), ...flattenSettings(run.config.config)]));
  const names = [...new Set(settings.flatMap((each) => [...each.keys()]))];
  return names
    .map((name) => ({ name, values: settings.map((each) => each.get(name) ?? null) }))
    .filter(({ values }) => new Set(values).size > 1);
}

function circumstances({ config }: RunRecord): [string, string][] {
  const { device, environment, preset, seeds } = config;
  return [
    ['preset', preset],
    ['seeds', seeds.join(', ')],
    ['device', device.simd === '' ? device.name : `${device.name} (${device.simd})`],
    ['threads', String(device.threads)],
    ['processor', environment.cpu],
    ['Node.js', environment.node],
    ...Object.entries(environment.packages),
    ['git revision', environment.revision === null ? 'none' : environment.revision.commit.slice(0, 12)],
  ];
}

function checkMetric(runs: readonly RunRecord[], metric: string): void {
  const numbers = new Set<string>();
  let rows = 0;
  for (const { results } of runs) {
    const keys = new Set([...results.trials.flatMap(({ key }) => Object.keys(key)), 'seed']);
    for (const row of results.rows) {
      rows += 1;
      for (const [field, value] of Object.entries(row)) {
        if (typeof value === 'number' && !keys.has(field)) numbers.add(field);
      }
    }
  }
  if (rows === 0) throw new UsageError('None of these runs has a finished trial yet; there is nothing to compare.');
  if (!numbers.has(metric)) {
    throw new UsageError(`No run measured a number called '${metric}'.${suggestion(metric, [...numbers])}`);
  }
}
