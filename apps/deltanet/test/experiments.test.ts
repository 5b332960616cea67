import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { capacity, updateRule } from '../src/index.ts';

describe.each([capacity, updateRule])('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const config = configOf(experiment as unknown as Experiment, name);
    expect(experiment.trials(config as never).length).toBeGreaterThan(3);
  });

  it("the claims hold for the authors' own numbers", () => {
    const config = configOf(experiment as unknown as Experiment, 'standard');
    const rows = experiment.trials(config as never).flatMap((key) => {
      const published = experiment.published.find((row) => row['model'] === key.model && row['keys'] === key.keys);
      const loss = published?.['loss'];
      return typeof loss === 'number' ? [{ ...key, seed: 1, loss, steps: 0 }] : [];
    });
    for (const { text, holds } of experiment.claims) {
      expect([text, holds(rows as never)?.pass]).toEqual([text, true]);
    }
  });

  it('the claims do not hold for a memory that recalls nothing', () => {
    const config = configOf(experiment as unknown as Experiment, 'standard');
    const rows = experiment.trials(config as never).map((key) => ({ ...key, seed: 1, loss: 0.5, steps: 0 }));
    const passed = experiment.claims.filter(({ holds }) => holds(rows as never)?.pass).map(({ text }) => text);
    expect(passed.every((text) => text.includes('fails'))).toBe(true);
  });
});

function configOf(experiment: Experiment, preset: string): unknown {
  return experiment.config.parse(experiment.presets[preset]?.config ?? {});
}
