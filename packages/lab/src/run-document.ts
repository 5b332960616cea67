/** The JSON document of `fwp run --json`: a stable contract that scripts rely on. */

import { resolve } from 'node:path';
import type { PublishedRow, Row } from './experiment.ts';
import type { ClaimResult } from './report/claims.ts';
import { type RunRecord, runPaths } from './run-folder.ts';

/** What `fwp run --json` prints when the run is complete. */
export interface RunDocument {
  readonly id: string;
  readonly preset: string;
  /** Name of the device, for example `'wasm'`. */
  readonly device: string;
  readonly threads: number;
  readonly seeds: readonly number[];
  readonly seconds: number;
  readonly results: readonly Row[];
  readonly published: readonly PublishedRow[];
  readonly claims: readonly ClaimResult[];
  /** Absolute path of the run folder. */
  readonly runDir: string;
  /** Absolute path of the report. */
  readonly report: string;
}

/** A run as that document. */
export function runDocument({ folder, config, results }: RunRecord): RunDocument {
  const { id, preset, device, seeds } = config;
  const { seconds, rows, published, claims } = results;
  const runDir = resolve(folder);
  return {
    ...{ id, preset, device: device.name, threads: device.threads, seeds, seconds },
    ...{ results: rows, published, claims, runDir, report: runPaths(runDir).report },
  };
}
