import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { lm, recall, synthetic, visualMatch } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;

/** What is measured after the steps is not what these tests are about. */
const few = ['validationSequences=4', 'testSequences=4'];

const presets: [Experiment, string, readonly string[]][] = [
  [lm as unknown as Experiment, 'quick', ['validationBytes=1000']],
  [lm as unknown as Experiment, 'standard', ['validationBytes=1000']],
  // The paper's corpus must be fetched, and its model is large; a smaller one starts on a text that is there.
  [
    lm as unknown as Experiment,
    'paper',
    [
      'corpus=synthetic',
      'trainBytes=10000',
      'validationBytes=1000',
      'size=64',
      'layers=2',
      'batchSize=1',
      'length=256',
    ],
  ],
  [recall as unknown as Experiment, 'quick', few],
  [recall as unknown as Experiment, 'standard', few],
  [recall as unknown as Experiment, 'paper', ['batchSize=2', ...few]],
  [synthetic as unknown as Experiment, 'quick', few],
  [synthetic as unknown as Experiment, 'standard', few],
  [synthetic as unknown as Experiment, 'arithmetic', few],
  [synthetic as unknown as Experiment, 'paper', ['batchSize=2', ...few]],
  [visualMatch as unknown as Experiment, 'quick', ['testEpisodes=1']],
  [visualMatch as unknown as Experiment, 'standard', ['testEpisodes=1']],
  // Episodes of 780 steps take minutes.
  [visualMatch as unknown as Experiment, 'paper', ['testEpisodes=1', 'batchSize=2', 'collectSteps=50']],
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
