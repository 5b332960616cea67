/** Two runs compared bit by bit. */

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type MetricsLine, metricsLines, readRun } from '../src/index.ts';
import { runPaths } from '../src/run-folder.ts';

/** Expects the same rows, steps and metrics in both, times aside. */
export async function expectSameRun(folder: string, reference: string): Promise<void> {
  const [{ results }, { results: expected }] = [await readRun(folder), await readRun(reference)];
  expect(results.state).toBe(expected.state);
  // As text: a number that isn't written alike isn't the same.
  expect(JSON.stringify(results.rows)).toBe(JSON.stringify(expected.rows));
  const counts = (trials: typeof results.trials): object[] =>
    trials.map(({ key, seed, steps }) => ({ key, seed, steps }));
  expect(counts(results.trials)).toEqual(counts(expected.trials));
  expect(metricsWithoutTimes(folder)).toBe(metricsWithoutTimes(reference));
  expect((await loggedLines(folder)).length).toBeGreaterThan(0);
}

/** All lines of `metrics.jsonl`. */
export async function loggedLines(folder: string): Promise<MetricsLine[]> {
  const lines: MetricsLine[] = [];
  for await (const line of metricsLines(folder)) lines.push(line);
  return lines;
}

function metricsWithoutTimes(folder: string): string {
  return readFileSync(runPaths(folder).metrics, 'utf8').replace(/,"seconds":[\d.e-]+\}$/gm, '}');
}
