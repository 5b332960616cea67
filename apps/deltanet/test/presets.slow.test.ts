import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { capacity, charlm, updateRule } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;

const presets: [Experiment, string, readonly string[]][] = [
  [capacity as unknown as Experiment, 'quick', []],
  [capacity as unknown as Experiment, 'paper', ['keys=20,600']],
  [updateRule as unknown as Experiment, 'quick', []],
  [updateRule as unknown as Experiment, 'paper', ['keys=20,60']],
  [charlm as unknown as Experiment, 'quick', []],
  [charlm as unknown as Experiment, 'standard', []],
  // The paper's corpus must be fetched; its model starts on a text that is there, with a smaller batch.
  [
    charlm as unknown as Experiment,
    'paper',
    ['corpus=synthetic', 'trainBytes=10000', 'batchSize=1', 'validationBytes=1000'],
  ],
];

it.each(presets.map(([experiment, ...rest]) => [experiment.id, ...rest, experiment] as const))(
  '%s, preset %s starts (%o)',
  async (_id, preset, overrides, experiment) => {
    const { trials } = await dryRun(experiment, { preset, overrides, ...device });
    expect(trials.length).toBeGreaterThan(2);
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  300_000,
);
