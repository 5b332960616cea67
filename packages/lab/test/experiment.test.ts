import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineExperiment } from '../src/index.ts';

it('infers the types of keys and measurements', () => {
  const experiment = defineExperiment({
    id: 'test/types',
    title: 'Types',
    description: 'Types.',
    paper: { id: 'none', citation: '', url: '' },
    config: z.object({ keys: z.array(z.number()).default([20]) }),
    presets: { quick: { summary: 'quick', config: { keys: [1] } } },
    trials: (config) => config.keys.map((keys) => ({ keys })),
    run: async ({ key, config }) => ({ loss: key.keys / config.keys.length }),
    published: [],
    claims: [{ text: 'loss', holds: (rows) => ({ pass: rows.every((row) => row.loss + row.keys < 1), observed: '' }) }],
    report: { metric: 'loss', rows: 'keys' },
  });
  expect(experiment.id).toBe('test/types');
});
