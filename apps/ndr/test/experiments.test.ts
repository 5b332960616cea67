import { readFileSync } from 'node:fs';
import { dispose } from '@fwp/core';
import { dryRun, type Experiment } from '@fwp/lab';
import { afterAll, describe, expect, it } from 'vitest';
import * as experiments from '../src/index.ts';
import { arithmetic, ctl, listOps } from '../src/index.ts';

const all = Object.values(experiments) as unknown as Experiment[];
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

afterAll(dispose);

describe.each(all.map((experiment) => [experiment.id, experiment] as const))('%s', (id, experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const config = experiment.config.parse(experiment.presets[name]?.config ?? {});
    expect(experiment.trials(config as never).length).toBeGreaterThan(1);
  });

  it('is in the README', () => expect(readme).toContain(`\`${id}\``));
});

/** Rows of the standard preset with one number for all measurements of each model. */
function rowsOf(accuracyOf: (model: string) => { deeper: number; iid: number }) {
  const config = ctl.config.parse(ctl.presets['standard']?.config);
  return ctl.trials(config).map((key) => {
    const { deeper, iid } = accuracyOf(key.model);
    const depths = { validation: deeper, firstTestDepth: deeper, lastTestDepth: deeper };
    return { ...key, seed: 1, deeper, iid, ...depths, bestStep: 1 };
  });
}

describe('claims of ndr/ctl', () => {
  const verdicts = (rows: ReturnType<typeof rowsOf>) => ctl.claims.map(({ holds }) => holds(rows)?.pass);

  it('hold where the router solves the task, as published, and others guess', () => {
    const solved = rowsOf((model) => (model === 'neuralDataRouter' ? { deeper: 1, iid: 1 } : { deeper: 0.2, iid: 1 }));
    expect(verdicts(solved)).toEqual(ctl.claims.map(() => true));
    for (const row of ctl.published) expect(row['deeper']).toBe(1);
  });

  it('do not hold for models that have learned nothing, nor where all generalise', () => {
    const nothing = verdicts(rowsOf(() => ({ deeper: 0.125, iid: 0.125 })));
    expect(nothing.slice(0, 3)).toEqual([false, false, false]);
    expect(nothing.at(-1)).toBe(false);
    const everything = verdicts(rowsOf(() => ({ deeper: 1, iid: 1 })));
    expect(everything.slice(3)).toEqual([false, false, false]);
  });
});

describe.each([
  ['ndr/arithmetic', arithmetic],
  ['ndr/list-ops', listOps as unknown as typeof arithmetic],
] as const)('claims of %s', (_, experiment) => {
  const verdicts = (router: { deeper: number; iid: number }, others: number) => {
    const rows = experiment.trials(experiment.config.parse(experiment.presets['standard']?.config)).map((key) => {
      const { deeper, iid } = key.model === 'neuralDataRouter' ? router : { deeper: others, iid: 1 };
      return {
        ...key,
        seed: 1,
        deeper,
        iid,
        validation: deeper,
        firstTestDepth: deeper,
        lastTestDepth: 0,
        bestStep: 1,
      };
    });
    return experiment.claims.map(({ holds }) => holds(rows)?.pass);
  };

  it('hold where the router is near-perfect and others are not', () =>
    expect(verdicts({ deeper: 0.97, iid: 1 }, 0.8)).toEqual([true, true, true]));

  it('do not hold for models that have learned nothing, nor where all generalise', () => {
    expect(verdicts({ deeper: 0.1, iid: 0.1 }, 0.1)).toEqual([false, false, false]);
    expect(verdicts({ deeper: 1, iid: 1 }, 1)).toEqual([true, true, false]);
  });
});

it.each(all.map((experiment) => [experiment.id, experiment] as const))(
  'preset quick of %s starts',
  async (_, experiment) => {
    const few = ['evaluationExamples=20', experiment.id === 'ndr/ctl' ? 'deeperExamples=20' : 'trainExamples=200'];
    const { trials } = await dryRun(experiment, { preset: 'quick', overrides: few, device: 'wasm', threads: 1 });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  },
  60_000,
);
