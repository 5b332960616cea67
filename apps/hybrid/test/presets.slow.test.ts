import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { synthetic } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;

const presets: [Experiment, string, readonly string[]][] = [
  [synthetic as unknown as Experiment, 'quick', []],
  [synthetic as unknown as Experiment, 'standard', []],
  [synthetic as unknown as Experiment, 'paper', ['batchSize=2', 'validationSequences=2', 'testSequences=2']],
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
