import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, expect, it } from 'vitest';
import { copy, delayedRecall, gradientCheck, rooms, tMaze } from '../src/index.ts';

afterAll(dispose);

const device = { device: 'wasm', threads: 2 } as const;

/** The paper's sizes start with fewer units, environments or steps where they would take minutes. */
const presets: [unknown, string, readonly string[]][] = [
  [gradientCheck, 'quick', ['lengths=100,1000']],
  [gradientCheck, 'paper', ['lengths=100', 'hiddenSize=64']],
  [delayedRecall, 'quick', []],
  [delayedRecall, 'standard', []],
  [delayedRecall, 'paper', ['hiddenSize=64']],
  [copy, 'quick', []],
  [copy, 'standard', []],
  [copy, 'paper', ['hiddenSize=32', 'models=elstm-rtrl', 'maximumBits=50']],
  [tMaze, 'quick', []],
  [tMaze, 'standard', []],
  [tMaze, 'paper', ['hiddenSize=64', 'corridors=500']],
  [rooms, 'quick', []],
  [rooms, 'standard', []],
  [rooms, 'paper', ['hiddenSize=64']],
];

it.each(presets.map(([experiment, ...rest]) => [(experiment as Experiment).id, ...rest, experiment] as const))(
  '%s, preset %s starts (%o)',
  async (_id, preset, overrides, experiment) => {
    const { trials } = await dryRun(experiment as Experiment, { preset, overrides, ...device });
    expect(trials.length).toBeGreaterThan(0);
  },
  300_000,
);
