import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { isExperiment } from '../src/define-experiment.ts';
import { defineExperiment, type Experiment } from '../src/index.ts';

const valid = {
  id: 'test/valid',
  title: 'Valid',
  description: 'Nothing.',
  paper: { id: 'none', citation: '', url: '' },
  config: z.object({ keys: z.array(z.number()).default([20]) }),
  presets: { quick: { summary: 'quick', config: { keys: [1] } } },
  trials: (config: { keys: number[] }) => config.keys.map((keys) => ({ keys })),
  run: async () => ({ loss: 0 }),
  report: { metric: 'loss', rows: 'keys' },
};

it('infers the types of keys and measurements', () => {
  const experiment = defineExperiment({
    ...valid,
    trials: (config) => config.keys.map((keys) => ({ keys })),
    run: async ({ key, config }) => ({ loss: key.keys / config.keys.length }),
    published: [],
    claims: [{ text: 'loss', holds: (rows) => ({ pass: rows.every((row) => row.loss + row.keys < 1), observed: '' }) }],
  });
  expect(experiment.id).toBe('test/valid');
  expect(isExperiment(experiment)).toBe(true);
});

it('fills in one trial without a key, no published numbers and no claims', () => {
  const { trials: _, ...rest } = valid;
  const experiment = defineExperiment(rest);
  expect(experiment.trials({ keys: [] })).toEqual([{}]);
  expect(experiment.published).toEqual([]);
  expect(experiment.claims).toEqual([]);
});

describe('rejects', () => {
  const verdict = (): undefined => undefined;
  it.each([
    ['an id that is no path', { id: 'Valid' }, "id must be '<package>/<name>'"],
    ['an empty title', { title: ' ' }, 'title is empty'],
    ['no presets', { presets: {} }, 'presets is empty'],
    [
      'an unknown setting in a preset',
      { presets: { quick: { summary: '', config: { key: [1] } } } },
      "preset 'quick' has an unknown setting 'key'. Did you mean 'keys'?",
    ],
    ['a value out of bounds', { presets: { quick: { summary: '', config: { keys: ['x'] } } } }, 'keys.0: '],
    ['a base that is not there', { presets: { quick: { summary: '', extends: 'quack' } } }, "extends 'quack'"],
    [
      'a circle of presets',
      { presets: { a: { summary: '', extends: 'b' }, b: { summary: '', extends: 'a' } } },
      'in a circle: a → b → a',
    ],
    ['an empty grid', { presets: { quick: { summary: '', config: { keys: [] } } } }, 'empty grid'],
    ['a trial twice', { presets: { quick: { summary: '', config: { keys: [1, 1] } } } }, 'twice in its grid'],
    ['a reserved field', { trials: () => [{ step: 1, keys: 2 }] }, "can't have a field 'step'"],
    ['a key that is no plain value', { trials: () => [{ keys: Number.NaN }] }, 'must be a string, a finite number'],
    ['a layout of unknown fields', { report: { metric: 'loss', rows: 'key' } }, "Did you mean 'keys'?"],
    ['a fractional seed', { presets: { quick: { summary: '', seeds: [0.5] } } }, 'Seed 0.5'],
    ['a number without its source', { published: [{ loss: 1, source: '' }] }, 'published[0] has no source'],
    [
      'two claims of one text',
      {
        claims: [
          { text: 'a', holds: verdict },
          { text: 'a', holds: verdict },
        ],
      },
      "text 'a'",
    ],
  ])('%s', (_what, change, message) => {
    const broken = { ...valid, ...change } as unknown as typeof valid;
    expect(() => defineExperiment(broken)).toThrow(RangeError);
    expect(() => defineExperiment(broken)).toThrow(message);
  });
});

it('gives an experiment that fits wherever any experiment does', () => {
  const specific = defineExperiment({
    ...valid,
    claims: [{ text: 'a', holds: (rows) => ({ pass: rows[0]?.loss === 0, observed: '' }) }],
  });
  const general: Experiment = specific;
  expect(general).toBe(specific);
});
