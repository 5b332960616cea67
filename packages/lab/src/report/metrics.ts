/**
 * What was logged during training, as curves: `metrics.jsonl` is read line by line, and a curve keeps at most a few
 * hundred points (means of neighbours), so that reports of long runs stay small and need little memory.
 */

import { createReadStream } from 'node:fs';
import { CorruptFileError } from '@fwp/core';
import type { TrialKey } from '../experiment.ts';
import { type MetricsLine, RESERVED_FIELDS, runPaths } from '../run-folder.ts';
import { trialIdentity } from '../trial-key.ts';

/** One logged quantity of one trial. */
export interface MetricLine {
  readonly key: TrialKey;
  readonly seed: number;
  /** The quantity's name, for example `'loss'`. */
  readonly field: string;
  readonly points: readonly { readonly step: number; readonly value: number }[];
}

/** Most points of a curve if nothing else is asked for. */
const DEFAULT_POINTS = 240;

/**
 * The curves of a run, in the order in which they were begun. Steps of a second training loop of the same trial go on
 * behind those of the first.
 *
 * @param keyFields which fields of a line are the trial's key
 * @returns nothing if nothing was logged
 * @throws CorruptFileError naming the line that isn't JSON; an unfinished last line is left out
 */
export async function readMetricLines(
  folder: string,
  keyFields: readonly string[],
  maxPoints: number = DEFAULT_POINTS,
): Promise<MetricLine[]> {
  const curves = new Map<string, { key: TrialKey; seed: number; field: string; points: Downsampler }>();
  const loops = new LoopOffsets(keyFields);
  for await (const line of metricsLines(folder)) {
    const step = loops.stepOf(line);
    const key = keyOf(line, keyFields);
    const trial = trialIdentity(key, line.seed);
    for (const [field, value] of loggedNumbers(line, keyFields)) {
      const name = trial + field;
      let curve = curves.get(name);
      if (curve === undefined)
        curves.set(name, (curve = { key, seed: line.seed, field, points: new Downsampler(maxPoints) }));
      curve.points.add(step, value);
    }
  }
  return [...curves.values()].map((curve) => ({ ...curve, points: curve.points.points() }));
}

/**
 * The lines of `metrics.jsonl`, one after the other.
 *
 * @throws CorruptFileError naming the line that isn't JSON; an unfinished last line is left out
 */
export async function* metricsLines(folder: string): AsyncGenerator<MetricsLine> {
  const path = runPaths(folder).metrics;
  let number = 0;
  let rest = '';
  try {
    for await (const chunk of createReadStream(path, 'utf8')) {
      const lines = (rest + (chunk as string)).split('\n');
      // A last line without its end was being written when the run was killed.
      rest = lines.pop() as string;
      for (const line of lines) {
        number += 1;
        yield parseLine(path, number, line);
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** The trial's key in a line of metrics. */
export function keyOf(line: MetricsLine, keyFields: readonly string[]): TrialKey {
  return Object.fromEntries(keyFields.filter((field) => field in line).map((field) => [field, line[field] ?? null]));
}

/** The quantities that were logged, without the fields that say when and by whom. */
export function loggedNumbers(line: MetricsLine, keyFields: readonly string[]): [field: string, value: number][] {
  return Object.entries(line).filter(
    (entry): entry is [string, number] =>
      typeof entry[1] === 'number' && !keyFields.includes(entry[0]) && !RESERVED_FIELDS.includes(entry[0]),
  );
}

/** Steps that go on from one training loop of a trial to the next. */
export class LoopOffsets {
  readonly #keyFields: readonly string[];
  readonly #trials = new Map<string, { loop: unknown; offset: number; last: number }>();

  constructor(keyFields: readonly string[]) {
    this.#keyFields = keyFields;
  }

  /** The step of a line, counted from the trial's beginning. */
  stepOf(line: MetricsLine): number {
    const name = trialIdentity(keyOf(line, this.#keyFields), line.seed);
    const loop = line['loop'] ?? null;
    let trial = this.#trials.get(name);
    if (trial === undefined) this.#trials.set(name, (trial = { loop, offset: 0, last: 0 }));
    if (trial.loop !== loop) {
      trial.loop = loop;
      trial.offset = trial.last;
    }
    trial.last = trial.offset + line.step;
    return trial.last;
  }
}

/** Keeps at most `limit` points of a curve of any length: when there are too many, neighbours are averaged. */
export class Downsampler {
  readonly #limit: number;
  /** Finished means of `#width` values each. */
  #points: { step: number; value: number }[] = [];
  #width = 1;
  #steps = 0;
  #values = 0;
  #count = 0;

  /** @param limit at least 2 */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds a point; steps don't decrease. */
  add(step: number, value: number): void {
    this.#steps += step;
    this.#values += value;
    this.#count += 1;
    if (this.#count < this.#width) return;
    this.#points.push({ step: this.#steps / this.#count, value: this.#values / this.#count });
    this.#steps = this.#values = this.#count = 0;
    if (this.#points.length < this.#limit) return;
    this.#points = Array.from({ length: this.#points.length >> 1 }, (_, index) => {
      const [a, b] = [this.#points[2 * index], this.#points[2 * index + 1]] as [Point, Point];
      return { step: (a.step + b.step) / 2, value: (a.value + b.value) / 2 };
    });
    this.#width *= 2;
  }

  /** The points so far; the last one is the mean of what is left over. */
  points(): { step: number; value: number }[] {
    if (this.#count === 0) return [...this.#points];
    return [...this.#points, { step: this.#steps / this.#count, value: this.#values / this.#count }];
  }
}

interface Point {
  readonly step: number;
  readonly value: number;
}

function parseLine(path: string, number: number, line: string): MetricsLine {
  try {
    return JSON.parse(line) as MetricsLine;
  } catch {
    throw new CorruptFileError(`${path}, line ${number}: expected a JSON object, found ${line.slice(0, 60)}`);
  }
}
