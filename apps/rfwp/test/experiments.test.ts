import { dispose, init, RandomStream } from '@fwp/core';
import type { Experiment } from '@fwp/lab';
import { afterAll, describe, expect, it } from 'vitest';
import { codeExecution, listOps } from '../src/index.ts';
import { MODELS, makeModel } from '../src/training.ts';

afterAll(dispose);

const rowsOf = (experiment: Experiment, preset: string) => {
  const config = experiment.config.parse(experiment.presets[preset]?.config ?? {});
  return experiment.trials(config as never) as unknown as { model: string }[];
};

describe.each([codeExecution, listOps] as unknown as Experiment[])('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (preset) => {
    expect(rowsOf(experiment, preset).length).toBeGreaterThan(3);
  });

  it("the claims hold for the authors' own numbers", () => {
    const rows = experiment.published.map((row) => ({ ...row, seed: 1, labelAccuracy: null }));
    const verdicts = experiment.claims.map(({ text, holds }) => [text, holds(rows as never)?.pass]);
    expect(verdicts.filter(([, pass]) => pass !== undefined).length).toBeGreaterThan(1);
    for (const [text, pass] of verdicts) expect([text, pass ?? true]).toEqual([text, true]);
  });

  it('no claim holds for models that have learned nothing', () => {
    const rows = rowsOf(experiment, 'paper').map((key) => ({
      ...key,
      seed: 1,
      sequenceAccuracy: 0,
      labelAccuracy: 0.1,
    }));
    expect(experiment.claims.filter(({ holds }) => holds(rows as never)?.pass)).toEqual([]);
  });
});

describe('models', () => {
  it.each(MODELS)('%s has a sensible number of parameters', async (name) => {
    await init({ device: 'wasm' });
    const sizes = { layers: 2, size: 32, lstmSize: 32, heads: 4, dropout: 0 };
    const model = makeModel(name, sizes, { vocabularySize: 22, targetCount: 26 }, new RandomStream(1));
    expect(model.parameterCount).toBeGreaterThan(10_000);
    expect(model.parameterCount).toBeLessThan(120_000);
    model.dispose();
  });
});
