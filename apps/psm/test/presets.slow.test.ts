import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { latency, lm, mqar, stateTracking } from '../src/index.ts';

afterAll(dispose);

const experiments = [stateTracking, mqar, lm, latency] as unknown as Experiment[];
/** What makes a try short, of the settings that an experiment has. */
const SHORT: Readonly<Record<string, readonly string[]>> = {
  'psm/state-tracking': ['validationSequences=2', 'testSequences=2', 'batchSize=2'],
  'psm/mqar': ['validationSequences=2', 'testSequences=2', 'batchSize=2'],
  'psm/lm': ['validationSequences=2', 'testSequences=2', 'batchSize=2', 'trainBytes=10000', 'validationBytes=10000'],
  'psm/latency': ['tokens=256'],
};
/**
 * One chunk size does for all, beside a model without chunks. Twelve blocks of size 768 and what they keep for the gradient do
 * not fit into the 4 GiB of WebAssembly: four do.
 */
const FEWER_MODELS: Readonly<Record<string, readonly string[]>> = {
  'psm/mqar, paper': ['chunkSizes=32', 'baselines=transformer'],
  'psm/lm, paper': ['chunkSizes=64', 'baselines=transformer', 'layers=2', 'aggregatorLayers=2'],
};
const presets = experiments.flatMap((experiment) =>
  ['quick', 'standard', 'paper'].map((preset) => [experiment.id, preset, experiment] as const),
);

it.each(presets)(
  '%s, preset %s starts',
  async (id, preset, experiment) => {
    const overrides = [...(SHORT[id] ?? []), ...(FEWER_MODELS[`${id}, ${preset}`] ?? [])];
    const { trials } = await dryRun(experiment, { preset, overrides, device: 'wasm', threads: 1 });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  600_000,
);
