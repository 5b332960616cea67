/** A small run folder, written as the runner would, for the tests of everything that reads runs. */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Cell, Row, TrialKey } from '../../src/experiment.ts';
import { type Results, RUN_FORMAT, type RunConfig, runPaths } from '../../src/run-folder.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** What differs from the usual. */
export interface RunFixture {
  readonly config?: Partial<RunConfig>;
  readonly results?: Partial<Results>;
  /** Lines of metrics; default: a falling loss for each trial. */
  readonly metrics?: readonly object[];
  /** Files under `artifacts/`. */
  readonly artifacts?: Readonly<Record<string, string | Uint8Array>>;
}

export const TITLE = 'Capacity <of> "fast" weights & more';

/** Rows of two models, three numbers of keys and two seeds. */
export const ROWS: readonly Row[] = [1, 2].flatMap((seed) =>
  ['linear', 'delta'].flatMap((model) =>
    [20, 60, 100].map((keys) => ({
      model,
      keys,
      loss: model === 'linear' ? keys / 1000 + seed / 100 : 0.0004 * seed,
      solved: model !== 'linear',
      seed,
    })),
  ),
);

/** Writes a run and returns its folder. */
export async function writeRunFixture(fixture: RunFixture = {}): Promise<string> {
  const folder = temporaryFolder();
  const paths = runPaths(folder);
  const results = resultsFixture(fixture.results);
  const metrics = fixture.metrics ?? results.trials.flatMap(({ key, seed }) => fallingLoss(key, seed, 20));
  await writeFile(paths.config, JSON.stringify(configFixture(fixture.config)));
  await writeFile(paths.results, JSON.stringify(results));
  await writeFile(paths.metrics, metrics.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const [name, content] of Object.entries(fixture.artifacts ?? {})) {
    const path = join(paths.artifacts, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return folder;
}

function configFixture(changes: Partial<RunConfig> = {}): RunConfig {
  return {
    version: RUN_FORMAT,
    id: 'test/capacity',
    title: TITLE,
    description: 'Associative retrieval with a growing number of keys.',
    paper: { id: 'a-paper', citation: 'A. Author, A Paper, 2021', url: 'https://example.org/paper' },
    report: {
      metric: 'loss',
      rows: 'keys',
      columns: 'model',
      charts: [
        { title: 'Loss by keys', from: 'results', x: 'keys', y: 'loss', series: 'model', yScale: 'log' },
        {
          title: 'Training',
          from: 'metrics',
          x: 'step',
          y: 'loss',
          series: 'model',
          facet: 'keys',
          rule: { y: 2.3, label: 'chance' },
        },
      ],
    },
    preset: 'quick',
    overrides: ['training.steps=20'],
    config: { keys: [20, 60, 100], training: { steps: 20, learningRate: 0.001 }, name: '<b>bold</b>' },
    seeds: [1, 2],
    trials: 6,
    device: { name: 'wasm', backend: 'fwp', threads: 2, simd: 'simd128', version: '0.1.0', notes: [] },
    source: { package: '@example/app' },
    environment: {
      node: '20.19.0',
      platform: 'linux-x64',
      cpu: 'A Processor',
      processors: 2,
      memory: 8 * 2 ** 30,
      packages: { '@fwp/core': '0.1.0' },
      revision: { commit: '0123456789abcdef', modified: false },
    },
    started: '2026-01-02T03:04:05.000Z',
    command: 'fwp run test/capacity --preset quick --seed 1,2 --set training.steps=20',
    ...changes,
  };
}

function resultsFixture(changes: Partial<Results> = {}): Results {
  const rows = changes.rows ?? ROWS;
  return {
    version: RUN_FORMAT,
    id: 'test/capacity',
    preset: 'quick',
    state: 'complete',
    error: null,
    seconds: 134,
    rows,
    trials: rows.map((row) => ({
      seed: row.seed,
      key: { model: row['model'] as Cell, keys: row['keys'] as Cell },
      steps: 20,
      seconds: 1,
      parameters: 1000,
    })),
    metricsBytes: 0,
    published: [
      { model: 'linear', keys: 20, loss: 0.01, source: 'figure 2' },
      { model: 'linear', keys: 60, loss: 0.06, source: 'figure 2' },
      { model: 'linear', keys: 600, loss: 0.6, source: 'figure 2' },
    ],
    claims: [
      {
        text: 'Linear attention fails & <delta> succeeds',
        pass: true,
        perSeed: [
          { seed: 1, pass: true, observed: 'loss 0.11 against 0.0004' },
          { seed: 2, pass: true, observed: 'loss 0.12 against 0.0008' },
        ],
      },
      { text: 'Something that quick does not measure', pass: null, perSeed: [] },
    ],
    ...changes,
  };
}

function fallingLoss(key: TrialKey, seed: number, steps: number): object[] {
  return Array.from({ length: steps }, (_, index) => ({
    seed,
    ...key,
    step: index + 1,
    loss: 2 / (index + seed),
    seconds: index / 100,
  }));
}
