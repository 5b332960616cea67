/**
 * What an experiment is: a schema of its configuration, presets of different cost, a grid of trials, the code of one
 * trial, the numbers that were published and the claims to be checked.
 *
 * A *run* goes through the grid once for every seed. A *trial* is one cell of the grid for one seed: it trains something and
 * returns what it measured. The trial's key and its measurements together are a row of the results. Rows that are
 * finished survive a kill; the trial under way goes on from its last checkpoint.
 */

import type { CheckpointParts, Json, RandomStream } from '@fwp/core';
import type { z } from 'zod';

/** What a cell of a table holds; `null`: not measured (for example because training diverged). */
export type Cell = string | number | boolean | null;

/** Names a trial within the grid, for example `{ model: 'linear', keys: 100 }`. Plain JSON. */
export type TrialKey = Readonly<Record<string, Cell>>;

/** What a trial measured, for example `{ loss: 0.164, steps: 1500 }`. */
export type Measurements = Readonly<Record<string, Cell>>;

/** A row of the results: the trial's key, what it measured, and the seed. */
export type Row<Key = TrialKey, Result = Measurements> = Key & Result & { readonly seed: number };

/** Where a result was published. */
export interface Paper {
  /** Name of the paper as used in `fwp list`, for example `'linear-transformers-fwp'`. */
  readonly id: string;
  /** Authors, title, venue and year, in one line. */
  readonly citation: string;
  /** Address of the paper. */
  readonly url: string;
}

/** A named configuration. */
export interface Preset<Config> {
  /** One line for `fwp list`: what it shows. */
  readonly summary: string;
  /** Another preset, whose settings this one takes over. */
  readonly extends?: string;
  /** Settings that differ from the schema's defaults (or from those of `extends`); nested objects are merged. */
  readonly config?: DeepPartial<Config>;
  /** Seeds if none are given. Default `[1]`. */
  readonly seeds?: readonly number[];
  /** Seconds that the preset took where it was measured, by device, for two threads. */
  readonly measuredSeconds?: Readonly<Record<string, number>>;
}

/** A row of published numbers: part of a trial's key, its numbers, and where they stand. */
export type PublishedRow = Readonly<Record<string, Cell>> & { readonly source: string };

/** What became of a claim. */
export interface Verdict {
  readonly pass: boolean;
  /** The numbers that decided, in words: `'loss 0.164 with 100 keys'`. */
  readonly observed: string;
}

/** A statement of the paper that the results can confirm or refute. */
export interface Claim<ResultRow = Row> {
  /** The statement, as a sentence. */
  readonly text: string;
  /**
   * Decides the claim on the rows of one seed.
   *
   * @returns `undefined` if this preset's grid doesn't have the rows that the claim is about
   */
  holds(rows: readonly ResultRow[]): Verdict | undefined;
}

/** A diagram of the report. */
export interface Chart {
  readonly title: string;
  /** `'results'`: one point per row; `'metrics'`: what was logged during training, over the steps. */
  readonly from: 'results' | 'metrics';
  /** Field on the horizontal axis; of metrics it is `'step'`. */
  readonly x: string;
  /** Field on the vertical axis. */
  readonly y: string;
  /**
   * For results whose rows have several points each: the fields that hold them, and their places on the horizontal axis, for
   * example `{ accuracy50: 50, accuracy100: 100 }`; x and y only name the axes then.
   */
  readonly spread?: Readonly<Record<string, number | string>>;
  /** Field that tells the curves apart; published rows that have x, y and this field are drawn beside ours. */
  readonly series: string;
  readonly yScale?: 'linear' | 'log';
  /** A horizontal line with a label, for example the level of chance. */
  readonly rule?: { readonly y: number; readonly label: string };
  /** Fields that make one diagram each, for example `'keys'`. */
  readonly facet?: string;
}

/** How the results are laid out. */
export interface ReportLayout {
  /** The measurement that the table shows. */
  readonly metric: string;
  /** Which of the key's fields makes the table's rows; which the columns. */
  readonly rows: string;
  readonly columns?: string;
  readonly charts?: readonly Chart[];
}

/** What a trial gets. */
export interface TrialContext<Config, Key> {
  readonly config: Config;
  readonly key: Key;
  readonly seed: number;
  /** Depends on the seed and the key only: another trial more or less in the grid doesn't change it. */
  readonly random: RandomStream;
  /** Whether this is a try (`--dry-run`): `steps` stops after two. */
  readonly dryRun: boolean;
  /**
   * The numbers of the training steps, 1, 2, … `total`, for the trial's loop:
   *
   *     for await (const step of steps({ total: 1000, module, optimizer, random: { data } })) {
   *       …
   *       log({ loss });
   *       if (solved) break;
   *     }
   *
   * A resumed trial runs its code again from the start; the loop begins behind its last checkpoint with all parts restored
   * (a loop that was left makes no step any more). So everything that a loop changes, and that is needed later, belongs to
   * its parts or its `state`. A trial may have several loops, one after the other. Between two steps it shows the
   * progress, writes a checkpoint when one is due, and stops here on Ctrl-C.
   */
  readonly steps: (options: StepsOptions) => AsyncIterable<number>;
  /**
   * Records numbers of the current step in `metrics.jsonl`.
   *
   * @throws NonFiniteError if one is NaN or infinite; the run stops with the step and the configuration
   */
  readonly log: (metrics: Readonly<Record<string, number>>) => void;
  /** Writes a file of results into the run folder, `artifacts/<trial>/<name>`. */
  readonly artifact: (name: string, content: string | Uint8Array) => Promise<void>;
}

/** Options of {@link TrialContext.steps}: how many steps, and all that a checkpoint must hold. */
export interface StepsOptions extends CheckpointParts {
  /** Number of steps if the loop isn't left before. */
  readonly total: number;
  /**
   * Whatever else must survive a kill (best loss so far, patience, a carried state as numbers, …): a plain object that the
   * loop changes in place; a resumed trial finds it as it was. NaN and infinities may be in it. Lists and objects in it are
   * replaced on resume: reach them through `state`.
   */
  readonly state?: { [name: string]: Json };
  /** What is counted for the speed shown, per step, for example `{ tokens: 4096 }`. */
  readonly perStep?: Readonly<Record<string, number>>;
}

/** What {@link defineExperiment} takes. */
export interface ExperimentDefinition<Config = unknown, Key = TrialKey, Result = Measurements> {
  /** `'<package>/<name>'`, as `fwp run` takes it. */
  readonly id: string;
  readonly title: string;
  /** What is done and what it shows, in a few sentences. */
  readonly description: string;
  readonly paper: Paper;
  /** Types, defaults, bounds and descriptions of all settings. Without transforms: what it gives must be valid input. */
  readonly config: z.ZodType<Config>;
  /** Configurations by name; `quick` (minutes), `standard` (within an hour) and `paper` (all of it) are expected. */
  readonly presets: Readonly<Record<string, Preset<NoInfer<Config>>>>;
  /** The grid. Default: one trial with an empty key. */
  trials?(config: Config): readonly Key[];
  /** One trial. Variables (parameters, moments) that it leaves behind are freed after it. */
  run(context: TrialContext<Config, Key>): Promise<Result>;
  /** Default: none. */
  readonly published?: readonly PublishedRow[];
  /** Default: none. */
  readonly claims?: readonly Claim<Row<NoInfer<Key>, NoInfer<Result>>>[];
  readonly report: ReportLayout;
}

/** An experiment; make one with {@link defineExperiment}. */
export interface Experiment<Config = unknown, Key = TrialKey, Result = Measurements>
  extends ExperimentDefinition<Config, Key, Result> {
  trials(config: Config): readonly Key[];
  readonly published: readonly PublishedRow[];
  readonly claims: readonly Claim<Row<NoInfer<Key>, NoInfer<Result>>>[];
}

/** The same with everything optional, in nested objects too; lists stay whole. */
export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: DeepPartial<T[K]> }
    : T;
