import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { resolveConfig } from '../src/config.ts';
import { UsageError } from '../src/index.ts';

const experiment = {
  config: z.object({
    keys: z.array(z.int().positive()).default([20, 40]),
    model: z.enum(['linear', 'delta']).default('linear'),
    name: z.string().default('x'),
    normalize: z.boolean().default(false),
    limit: z.nullable(z.number()).default(null),
    weights: z.record(z.string(), z.number()).default({}),
    training: z.object({
      steps: z.int().min(1).default(100),
      learningRate: z.number().positive().default(1e-3),
      warmup: z.union([z.literal('auto'), z.int()]).default('auto'),
    }),
    layers: z
      .array(z.object({ size: z.int().default(8), bias: z.boolean().default(true) }))
      .default([{ size: 4, bias: false }]),
    byName: z.record(z.string(), z.object({ size: z.int() })).default({}),
    head: z
      .union([
        z.object({ kind: z.literal('deep'), sizes: z.array(z.int()).default([]) }),
        z.object({ kind: z.literal('wide'), width: z.int() }),
      ])
      .nullable()
      .default(null),
  }),
  presets: {
    quick: { summary: '', config: { training: { steps: 10 } } },
    standard: { summary: '', extends: 'quick', config: { training: { learningRate: 0.5 }, keys: [1] } },
    paper: { summary: '', extends: 'standard', config: { training: { steps: 1000 } } },
  },
};
const resolve = (...overrides: string[]) => resolveConfig(experiment, 'quick', overrides);

describe('presets', () => {
  it('fill in defaults, also of nested objects', () => {
    expect(resolve()).toMatchObject({ keys: [20, 40], training: { steps: 10, learningRate: 1e-3, warmup: 'auto' } });
  });

  it('take over the settings of the presets they extend: objects merged, lists replaced', () => {
    expect(resolveConfig(experiment, 'paper')).toMatchObject({
      keys: [1],
      training: { steps: 1000, learningRate: 0.5 },
    });
  });

  it('suggest the name that was meant', () => {
    expect(() => resolveConfig(experiment, 'quik')).toThrow(
      new UsageError("Unknown preset 'quik'. Did you mean 'quick'?"),
    );
    expect(() => resolveConfig(experiment, 'toString')).toThrow(/Choose one of 'quick', 'standard', 'paper'/);
  });
});

describe('--set', () => {
  it.each([
    ['training.steps=7', { training: { steps: 7 } }],
    ['training.learningRate=3e-4', { training: { learningRate: 3e-4 } }],
    ['training.warmup=auto', { training: { warmup: 'auto' } }],
    ['training.warmup=5', { training: { warmup: 5 } }],
    ['keys=1,2,3', { keys: [1, 2, 3] }],
    ['keys=[4, 5]', { keys: [4, 5] }],
    ['keys=6', { keys: [6] }],
    ['keys.1=41', { keys: [20, 41] }],
    ['model=delta', { model: 'delta' }],
    ['name=12', { name: '12' }],
    ['name=a=b,c', { name: 'a=b,c' }],
    ['name=', { name: '' }],
    ['normalize=true', { normalize: true }],
    ['limit=3', { limit: 3 }],
    ['limit=null', { limit: null }],
    ['weights.anything=2', { weights: { anything: 2 } }],
    ['layers.0.size=16', { layers: [{ size: 16, bias: false }] }],
    [
      'layers=[{"size":1},{"bias":false}]',
      {
        layers: [
          { size: 1, bias: true },
          { size: 8, bias: false },
        ],
      },
    ],
    ['training={"steps":3}', { training: { steps: 3, learningRate: 1e-3 } }],
    ['head={"kind":"wide","width":2}', { head: { kind: 'wide', width: 2 } }],
    ['byName={"a":{"size":2}}', { byName: { a: { size: 2 } } }],
  ])('%s', (override, expected) => {
    expect(resolve(override)).toMatchObject(expected);
  });

  it('applies several in order', () => {
    expect(resolve('keys=1,2', 'keys.0=9', 'training.steps=5', 'training.steps=6')).toMatchObject({
      keys: [9, 2],
      training: { steps: 6 },
    });
  });

  it.each([
    ['learning_rate=1', "unknown setting 'learning_rate'. Did you mean 'training.learningRate'?"],
    ['training.step=1', "unknown setting 'training.step'. Did you mean 'training.steps'?"],
    ['steps=1', "unknown setting 'steps'. Did you mean 'training.steps'?"],
    ['training.steps.more=1', "unknown setting 'training.steps.more'"],
    ['keys.2=1', "'keys' is a list of 2; expected an index below that, found '2'"],
    ['training.steps=ten', "training.steps: expected integer >= 1, found 'ten'"],
    ['training.steps=', "training.steps: expected integer >= 1, found ''"],
    ['training.steps=0', 'training.steps: Too small'],
    ['training.steps=1.5', 'training.steps: '],
    ['training.steps=NaN', "expected integer >= 1, found 'NaN'"],
    ['model=detla', "expected 'linear' | 'delta', found 'detla'. Did you mean 'delta'?"],
    ['normalize=yes', "expected boolean, found 'yes'"],
    ['keys=1,x', "keys.1: expected integer > 0, found 'x'"],
    ['keys=[1', 'expected list of integer > 0'],
    ['training=3', 'expected object (JSON)'],
    ['training', 'expected path=value'],
    ['=1', 'expected path=value'],
    ['__proto__.x=1', "unknown setting '__proto__.x'"],
    ['training={"step":3}', "unknown setting 'training.step'. Did you mean 'steps'?"],
    ['layers=[{"size":1},{"siez":2}]', "unknown setting 'layers.1.siez'. Did you mean 'size'?"],
    ['layers.0={"siez":2}', "unknown setting 'layers.0.siez'. Did you mean 'size'?"],
    ['head={"kind":"deep","size":2}', "unknown setting 'head.size'. Did you mean 'sizes'?"],
    ['byName={"a":{"siez":2}}', "unknown setting 'byName.a.siez'. Did you mean 'size'?"],
  ])('rejects %s', (override, message) => {
    expect(() => resolve(override)).toThrow(UsageError);
    expect(() => resolve(override)).toThrow(message);
  });

  it('checks rules across settings after all overrides', () => {
    const pair = {
      config: z
        .object({ a: z.number().default(1), b: z.number().default(2) })
        .refine(({ a, b }) => a < b, 'a must be below b'),
    };
    const both = { ...pair, presets: { quick: { summary: '' } } };
    expect(resolveConfig(both, 'quick', ['a=5', 'b=6'])).toEqual({ a: 5, b: 6 });
    expect(() => resolveConfig(both, 'quick', ['a=5'])).toThrow('a must be below b');
  });
});
