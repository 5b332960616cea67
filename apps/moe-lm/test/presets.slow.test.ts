import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { lm, routerUsage, scaling, switchhead } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 1 } as const;

/** The papers' corpora must be fetched; their models start on a text that is there, with smaller batches. */
const INSTALLED = [
  'corpus=tfjs',
  'tokens=bytes',
  'batchSize=1',
  'validationBatchSize=1',
  'trainBytes=20000',
  'validationBytes=5000',
];

const presets: [Experiment, string, readonly string[]][] = [
  [lm as unknown as Experiment, 'quick', []],
  [lm as unknown as Experiment, 'standard', ['models=top-k,pkm-relu,sigma-moe-standard-init']],
  [lm as unknown as Experiment, 'paper', ['models=sigma-moe,s-base', 'layers=2', ...INSTALLED]],
  [lm as unknown as Experiment, 'paper-wikitext-103', ['models=dense,switch', 'layers=2', ...INSTALLED]],
  [routerUsage as unknown as Experiment, 'quick', []],
  [routerUsage as unknown as Experiment, 'standard', []],
  [routerUsage as unknown as Experiment, 'paper', ['batchSize=64', 'evaluationTokens=64']],
  [scaling as unknown as Experiment, 'quick', ['experts=16,32']],
  [scaling as unknown as Experiment, 'paper', ['experts=16,32', 'tokens=64']],
  [switchhead as unknown as Experiment, 'quick', ['lengths=64']],
  [switchhead as unknown as Experiment, 'standard', ['lengths=256']],
  [switchhead as unknown as Experiment, 'paper', ['layers=2', ...INSTALLED]],
];

it.each(presets.map(([experiment, ...rest]) => [experiment.id, ...rest, experiment] as const))(
  '%s, preset %s starts (%o)',
  async (_id, preset, overrides, experiment) => {
    const { trials } = await dryRun(experiment, { preset, overrides, ...device });
    expect(trials.length).toBeGreaterThan(1);
  },
  300_000,
);
