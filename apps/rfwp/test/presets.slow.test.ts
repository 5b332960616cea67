import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { codeExecution, listOps } from '../src/index.ts';

afterAll(dispose);

const presets = [codeExecution, listOps].flatMap((experiment) =>
  ['quick', 'standard', 'paper'].map((preset) => [experiment.id, preset, experiment as unknown as Experiment] as const),
);

it.each(presets)(
  '%s, preset %s starts',
  async (_id, preset, experiment) => {
    const overrides = ['validationSequences=10', 'testSequences=10', 'batchSize=2'];
    const { trials } = await dryRun(experiment, { preset, overrides, device: 'wasm', threads: 2 });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  300_000,
);
