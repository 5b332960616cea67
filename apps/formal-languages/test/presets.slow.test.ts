import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { allLanguages, parity } from '../src/index.ts';

afterAll(dispose);

const presets = [parity, allLanguages].flatMap((experiment) =>
  Object.keys(experiment.presets).map(
    (preset) => [experiment.id, preset, experiment as unknown as Experiment] as const,
  ),
);

it.each(presets)(
  '%s, preset %s starts',
  async (_id, preset, experiment) => {
    const overrides = ['validationWords=10', 'testWords=10', 'batchSize=4'];
    const { trials } = await dryRun(experiment, { preset, overrides, device: 'wasm', threads: 2 });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  300_000,
);
