import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { bootstrapping, fewShotLearning, sequentialAdaptation } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;
/** The published configurations need files that are not here; they start with drawn characters, and a smaller batch. */
const drawn = [
  'classes=strokes',
  'imageSize=16',
  'filters=4',
  'batchSize=2',
  'testEpisodes=32',
  'validationEpisodes=32',
];

const presets: [Experiment, string, readonly string[]][] = [
  [fewShotLearning as unknown as Experiment, 'quick', []],
  [fewShotLearning as unknown as Experiment, 'standard', ['testEpisodes=32']],
  [fewShotLearning as unknown as Experiment, 'characters', ['testEpisodes=32', 'validationEpisodes=32']],
  [fewShotLearning as unknown as Experiment, 'paper', drawn],
  [fewShotLearning as unknown as Experiment, 'miniImageNet', drawn],
  [sequentialAdaptation as unknown as Experiment, 'quick', []],
  [sequentialAdaptation as unknown as Experiment, 'standard', []],
  [
    sequentialAdaptation as unknown as Experiment,
    'paper',
    ['sources=strokes,strokes', 'imageSize=16', 'filters=4', 'batchSize=1', 'testSequences=16'],
  ],
  [bootstrapping as unknown as Experiment, 'quick', []],
  [bootstrapping as unknown as Experiment, 'standard', []],
  [bootstrapping as unknown as Experiment, 'paper', drawn],
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
