/** Metrics of a run as TensorBoard's event files: a folder for each trial and seed. */

import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { keyOf, LoopOffsets, loggedNumbers, metricsLines } from '../report/metrics.ts';
import { keyFieldsOf } from '../report/report-data.ts';
import { type RunConfig, readRun } from '../run-folder.ts';
import { trialFileName } from '../trial-key.ts';
import { scalarRecord, versionRecord } from './event-record.ts';

/** What was written. */
export interface TensorBoardExport {
  /** The folder for `tensorboard --logdir`. */
  readonly folder: string;
  /** Number of trials. */
  readonly trials: number;
  /** Number of steps with logged numbers. */
  readonly events: number;
}

/** Bytes that are gathered before they are written. */
const BUFFER = 1 << 16;

/**
 * Writes what a run logged as event files, `<out>/<trial>/events.out.tfevents.<time>.fwp`. Files of an earlier export of
 * the same run are replaced. The metrics are read and written piece by piece: runs may be of any length.
 *
 * @param runFolder a run, finished or not
 * @param out default: `tensorboard` in the run folder
 * @throws UsageError if the folder isn't a run
 * @throws CorruptFileError if its metrics can't be read
 */
export async function exportTensorBoard(runFolder: string, out?: string): Promise<TensorBoardExport> {
  const run = await readRun(runFolder);
  const folder = out ?? join(runFolder, 'tensorboard');
  const keyFields = keyFieldsOf(run, run.config.report);
  const files = new EventFiles(folder, run.config);
  const loops = new LoopOffsets(keyFields);
  let events = 0;
  try {
    for await (const line of metricsLines(runFolder)) {
      const step = loops.stepOf(line);
      const scalars = Object.fromEntries(loggedNumbers(line, keyFields));
      if (Object.keys(scalars).length === 0) continue;
      await files.write(trialFileName(keyOf(line, keyFields), line.seed), { step, seconds: line.seconds, scalars });
      events += 1;
    }
  } finally {
    await files.close();
  }
  return { folder, trials: files.count, events };
}

/** The event files of a run. Trials come one after the other, so that one file is open at a time. */
class EventFiles {
  readonly #folder: string;
  /** When the run began, in seconds since 1970. */
  readonly #began: number;
  readonly #known = new Set<string>();
  #name: string | undefined;
  #file: FileHandle | undefined;
  #buffer: Uint8Array[] = [];
  #buffered = 0;

  constructor(folder: string, { started }: RunConfig) {
    this.#folder = folder;
    this.#began = Date.parse(started) / 1000;
  }

  /** Number of files. */
  get count(): number {
    return this.#known.size;
  }

  async write(
    name: string,
    event: { readonly step: number; readonly seconds: number; readonly scalars: Readonly<Record<string, number>> },
  ): Promise<void> {
    if (name !== this.#name) await this.#open(name);
    const { step, seconds, scalars } = event;
    this.#add(scalarRecord({ wallTime: this.#began + seconds, step, scalars }));
    if (this.#buffered >= BUFFER) await this.#flush();
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #open(name: string): Promise<void> {
    await this.close();
    const isNew = !this.#known.has(name);
    const folder = join(this.#folder, name);
    await mkdir(folder, { recursive: true });
    this.#file = await open(join(folder, `events.out.tfevents.${Math.floor(this.#began)}.fwp`), isNew ? 'w' : 'a');
    this.#name = name;
    this.#known.add(name);
    if (isNew) this.#add(versionRecord(this.#began));
  }

  #add(bytes: Uint8Array): void {
    this.#buffer.push(bytes);
    this.#buffered += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    await this.#file?.write(Buffer.concat(this.#buffer));
    this.#buffer = [];
    this.#buffered = 0;
  }
}
