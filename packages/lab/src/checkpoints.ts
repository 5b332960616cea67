/**
 * The checkpoints of one trial. A trial may have several training loops; of each the last two checkpoints are kept, so
 * that a damaged one costs little. A loop that was left has a last one that says so.
 *
 *     checkpoints/<trial>.loop1.step1500.safetensors
 */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointParts, CorruptFileError, type Json, loadCheckpoint, saveCheckpoint } from '@fwp/core';
import { UsageError } from './errors.ts';

/** How many are kept of each loop. */
const KEPT = 2;

/** What is stored beside the tensors and random streams. */
export interface CheckpointContent {
  /** Whether the loop was left. */
  readonly finished: boolean;
  /** The loop's `state`, encoded. */
  readonly state: Json;
  /** Bytes of `metrics.jsonl` up to here. */
  readonly metricsBytes: number;
  /** Seconds since the trial began, over all sessions. */
  readonly seconds: number;
}

/** A checkpoint on the disk. */
export interface StoredCheckpoint {
  readonly path: string;
  /** Number of the loop, from 1. */
  readonly loop: number;
  readonly step: number;
}

/** A checkpoint that can be read. */
export interface UsableCheckpoint extends StoredCheckpoint, CheckpointContent {}

/** The checkpoints of one trial. */
export class TrialCheckpoints {
  readonly #folder: string;
  readonly #trial: string;

  /**
   * @param folder of the checkpoints
   * @param trial its name as a file name
   */
  constructor(folder: string, trial: string) {
    this.#folder = folder;
    this.#trial = trial;
  }

  /**
   * What a killed run left: the checkpoint of every loop from which to go on, in order; only the last may be
   * unfinished. Damaged ones, those that build upon them, and unfinished files are removed.
   *
   * @param warn gets a sentence about each that is damaged
   */
  async recover(warn: (message: string) => void): Promise<UsableCheckpoint[]> {
    const stored = await this.#list();
    const usable: UsableCheckpoint[] = [];
    for (let loop = 1; usable.length === loop - 1 && (usable.at(-1)?.finished ?? true); loop++) {
      for (const checkpoint of stored.filter((each) => each.loop === loop).reverse()) {
        try {
          const { extra } = await loadCheckpoint(checkpoint.path, {});
          usable.push({ ...checkpoint, ...(extra as unknown as CheckpointContent) });
          break;
        } catch (error) {
          if (!(error instanceof CorruptFileError)) throw error;
          warn(`Checkpoint is damaged, going on from the one before: ${error.message}`);
          await rm(checkpoint.path);
        }
      }
    }
    for (const { path, loop } of stored) if (loop > usable.length) await rm(path, { force: true });
    return usable;
  }

  /** Writes a checkpoint and removes those that aren't needed any more. */
  async save(loop: number, step: number, parts: CheckpointParts, content: CheckpointContent): Promise<void> {
    const path = join(this.#folder, `${this.#trial}.loop${loop}.step${step}.safetensors`);
    await saveCheckpoint(path, parts, { step, extra: content as unknown as Json });
    const ofLoop = (await this.#list()).filter((each) => each.loop === loop);
    for (const { path: old } of ofLoop.slice(0, -KEPT)) await rm(old);
  }

  /** Removes one that must not be used. */
  async remove(loop: number, step: number): Promise<void> {
    await rm(join(this.#folder, `${this.#trial}.loop${loop}.step${step}.safetensors`), { force: true });
  }

  /** Removes all: the trial is finished. */
  async clear(): Promise<void> {
    for (const { path } of await this.#list()) await rm(path);
  }

  /** All on the disk by loop and step. */
  async #list(): Promise<StoredCheckpoint[]> {
    const prefix = `${this.#trial}.loop`;
    const stored = (await readdir(this.#folder)).flatMap((name): StoredCheckpoint[] => {
      const found = name.startsWith(prefix) ? /^(\d+)\.step(\d+)\.safetensors$/.exec(name.slice(prefix.length)) : null;
      return found === null ? [] : [{ path: join(this.#folder, name), loop: Number(found[1]), step: Number(found[2]) }];
    });
    return stored.sort((a, b) => a.loop - b.loop || a.step - b.step);
  }
}

/**
 * Makes the folder of checkpoints, and removes what a killed process left: files that it was writing, and checkpoints of
 * trials that it finished.
 *
 * @param current the file name of the trial that is next; undefined if all are finished
 * @throws UsageError if there is a file in its place
 */
export async function prepareCheckpoints(folder: string, current: string | undefined): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UsageError(`${folder} is a file; expected the folder of checkpoints. Remove it, and go on with the run.`);
  }
  for (const name of await readdir(folder)) {
    if (current === undefined || !name.startsWith(`${current}.loop`)) await rm(join(folder, name));
  }
}
