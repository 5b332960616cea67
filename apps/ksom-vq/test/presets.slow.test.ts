import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { vectors, vqvae, vqvae2 } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;

const presets: [Experiment, string, readonly string[]][] = [
  [vectors as unknown as Experiment, 'quick', []],
  [vectors as unknown as Experiment, 'standard', []],
  [vectors as unknown as Experiment, 'paper', ['codes=1024', 'decays=0.999']],
  [vqvae as unknown as Experiment, 'quick', []],
  [vqvae as unknown as Experiment, 'standard', []],
  // CIFAR-10 must be fetched; the network of the paper starts on pictures that are there, with smaller batches.
  [
    vqvae as unknown as Experiment,
    'paper',
    ['data=procedural', 'batchSize=8', 'validationImages=10', 'neighborhoods=hard'],
  ],
  [vqvae2 as unknown as Experiment, 'quick', []],
  [vqvae2 as unknown as Experiment, 'standard', ['neighborhoods=none,hard']],
  [vqvae2 as unknown as Experiment, 'paper', ['batchSize=1', 'validationImages=1', 'neighborhoods=none,hard']],
];

it.each(presets.map(([experiment, ...rest]) => [experiment.id, ...rest, experiment] as const))(
  '%s, preset %s starts (%o)',
  async (_id, preset, overrides, experiment) => {
    const { trials } = await dryRun(experiment, { preset, overrides, ...device });
    expect(trials.length).toBeGreaterThan(1);
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  300_000,
);
