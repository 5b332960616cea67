/**
 * What a run leaves on the disk. Everything is readable with ordinary tools:
 *
 *     config.json     what was run, and with what: {@link RunConfig}; written once
 *     metrics.jsonl   what was logged during training: one {@link MetricsLine} per line
 *     results.json    rows of finished trials, state, claims: {@link Results}; replaced after each trial
 *     checkpoints/    the last two of the trial under way, safetensors
 *     artifacts/      files that trials wrote, a folder per trial
 *     report.html     the report
 *     lock.json       only while a process works on the run
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptFileError, type DeviceInfo, type Json, writeFileAtomically } from '@fwp/core';
import { UsageError } from './errors.ts';
import type { Cell, Paper, PublishedRow, ReportLayout, Row, TrialKey } from './experiment.ts';
import type { ClaimResult } from './report/claims.ts';
import { shellWord } from './shell-word.ts';

/** Version of the format of `config.json` and `results.json`. */
export const RUN_FORMAT = 1;

/** Content of `config.json`: all that is needed to do the same again. */
export interface RunConfig {
  readonly version: typeof RUN_FORMAT;
  /** The experiment's id. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly paper: Paper;
  /** How results are laid out: reports can be made again where the experiment isn't installed. */
  readonly report: ReportLayout;
  readonly preset: string;
  /** Settings given on top of the preset, as `path=value`. */
  readonly overrides: readonly string[];
  /** All settings: defaults, preset and overrides. */
  readonly config: Json;
  readonly seeds: readonly number[];
  /** Number of trials per seed. */
  readonly trials: number;
  readonly device: DeviceInfo;
  /** Where the experiment's code is; null if the program that ran it didn't say. */
  readonly source: ExperimentSource | null;
  readonly environment: Environment;
  /** When the run began, ISO 8601. */
  readonly started: string;
  /** The command that does the same again. */
  readonly command: string;
}

/** Where the code of an experiment comes from: a package, or a file (relative to the run folder). */
export type ExperimentSource = { readonly package: string } | { readonly file: string };

/** What the run ran on and with. */
export interface Environment {
  /** Version of Node.js. */
  readonly node: string;
  /** Operating system and architecture, for example `'linux-x64'`. */
  readonly platform: string;
  readonly cpu: string;
  /** Number of logical processors. */
  readonly processors: number;
  /** Bytes of memory. */
  readonly memory: number;
  /** Versions of the packages, for example `{ '@fwp/core': '0.1.0' }`. */
  readonly packages: Readonly<Record<string, string>>;
  /** Git revision of the experiment's code; null outside a repository. */
  readonly revision: { readonly commit: string; readonly modified: boolean } | null;
}

/**
 * What a run is doing: `'running'` (or it was killed while it was), `'interrupted'` by Ctrl-C, `'failed'` with an error,
 * or `'complete'`. All but the last can be resumed.
 */
export type RunState = 'running' | 'interrupted' | 'failed' | 'complete';

/** Content of `results.json`. */
export interface Results {
  readonly version: typeof RUN_FORMAT;
  readonly id: string;
  readonly preset: string;
  readonly state: RunState;
  /** Why the run failed; null if it didn't. */
  readonly error: string | null;
  /** Seconds of work, over all sessions. */
  readonly seconds: number;
  /** One row per finished trial: its key, its measurements and the seed. */
  readonly rows: readonly Row[];
  /** The same trials with what they took, in the order of `rows`. */
  readonly trials: readonly FinishedTrial[];
  /** Bytes of `metrics.jsonl` that belong to the finished trials. */
  readonly metricsBytes: number;
  readonly published: readonly PublishedRow[];
  readonly claims: readonly ClaimResult[];
}

/** What a finished trial took. */
export interface FinishedTrial {
  readonly seed: number;
  readonly key: TrialKey;
  /** Training steps made. */
  readonly steps: number;
  readonly seconds: number;
  /** Trainable numbers of the module; null if the trial has none. */
  readonly parameters: number | null;
}

/**
 * A line of `metrics.jsonl`: the seed, the fields of the trial's key, the step, the numbers logged, and the seconds since the
 * trial began. `loop` is there from a trial's second training loop on.
 */
export type MetricsLine = Readonly<Record<string, Cell>> & {
  readonly seed: number;
  readonly step: number;
  readonly seconds: number;
};

/** Fields of a line of metrics that numbers logged and keys can't be called. */
export const RESERVED_FIELDS: readonly string[] = ['seed', 'step', 'seconds', 'loop'];

/** The paths in a run folder. */
export interface RunPaths {
  readonly config: string;
  readonly metrics: string;
  readonly results: string;
  readonly checkpoints: string;
  readonly artifacts: string;
  readonly report: string;
  readonly lock: string;
}

/** Where everything is in a run folder. */
export function runPaths(folder: string): RunPaths {
  return {
    config: join(folder, 'config.json'),
    metrics: join(folder, 'metrics.jsonl'),
    results: join(folder, 'results.json'),
    checkpoints: join(folder, 'checkpoints'),
    artifacts: join(folder, 'artifacts'),
    report: join(folder, 'report.html'),
    lock: join(folder, 'lock.json'),
  };
}

/** A run as it is on the disk. */
export interface RunRecord {
  readonly folder: string;
  readonly config: RunConfig;
  readonly results: Results;
}

/**
 * Reads a run; it may still be going on.
 *
 * @throws UsageError if the folder isn't a run
 * @throws CorruptFileError if its files aren't what they should be
 */
export async function readRun(folder: string): Promise<RunRecord> {
  const paths = runPaths(folder);
  const config = await readJson<RunConfig>(
    paths.config,
    CONFIG_FIELDS,
    'Without it nothing can be made of the run; run it anew.',
  );
  if (config === undefined) {
    throw new UsageError(`${folder} is not a run: there is no config.json. Expected a folder that 'fwp run' made.`);
  }
  const results = await readJson<Results>(
    paths.results,
    RESULTS_FIELDS,
    `Remove it, and the trials are computed again by: fwp resume ${shellWord(folder)}`,
  );
  // Right at the start the second file isn't there yet.
  return { folder, config, results: results ?? emptyResults(config) };
}

/** Results of a run without a finished trial. */
function emptyResults({ id, preset }: RunConfig): Results {
  const nothing = { error: null, seconds: 0, rows: [], trials: [], metricsBytes: 0, published: [], claims: [] };
  return { version: RUN_FORMAT, id, preset, state: 'running', ...nothing };
}

/** Writes `config.json`. */
export function writeRunConfig(folder: string, config: RunConfig): Promise<void> {
  return writeJson(runPaths(folder).config, config);
}

/** Replaces `results.json`: whoever reads it finds either the old or the new one. */
export function writeResults(folder: string, results: Results): Promise<void> {
  return writeJson(runPaths(folder).results, results);
}

/** Writes a text so that it appears complete or not at all. */
export function writeText(path: string, text: string): Promise<void> {
  return writeFileAtomically(path, [new TextEncoder().encode(text)]);
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeText(path, `${JSON.stringify(value, null, 2)}\n`);
}

type Kind = 'string' | 'number' | 'list' | 'object' | 'object or null';

const CONFIG_FIELDS: Readonly<Record<keyof RunConfig, Kind>> = {
  ...{ version: 'number', id: 'string', title: 'string', description: 'string', paper: 'object', report: 'object' },
  ...{ preset: 'string', overrides: 'list', config: 'object', seeds: 'list', trials: 'number', device: 'object' },
  ...{ source: 'object or null', environment: 'object', started: 'string', command: 'string' },
};
const RESULTS_FIELDS: Readonly<Record<Exclude<keyof Results, 'error'>, Kind>> = {
  ...{ version: 'number', id: 'string', preset: 'string', state: 'string', seconds: 'number', rows: 'list' },
  ...{ trials: 'list', metricsBytes: 'number', published: 'list', claims: 'list' },
};

/**
 * @param fields what it must have
 * @param wayOut what to do about a file that is damaged
 * @returns undefined if there is no such file
 */
async function readJson<T extends RunConfig | Results>(
  path: string,
  fields: Readonly<Record<string, Kind>>,
  wayOut: string,
): Promise<T | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  let value: Partial<T> | null;
  try {
    value = JSON.parse(text) as Partial<T> | null;
  } catch (error) {
    throw new CorruptFileError(`${path}: not valid JSON (${(error as Error).message}). ${wayOut}`);
  }
  const version: unknown = value?.version;
  // Nothing is wrong with what another version of this package wrote.
  if (typeof version === 'number' && version !== RUN_FORMAT) {
    throw new CorruptFileError(`${path}: expected version ${RUN_FORMAT} of the format, found ${version}.`);
  }
  for (const [field, kind] of Object.entries(fields)) {
    const found = kindOf(value?.[field as keyof T]);
    if (!kind.split(' or ').includes(found)) {
      throw new CorruptFileError(`${path} is damaged: expected ${kind} in field ${field}, found ${found}. ${wayOut}`);
    }
  }
  return value as T;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  return value === null ? 'null' : typeof value;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
