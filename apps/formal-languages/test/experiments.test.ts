import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { allLanguages, parity } from '../src/index.ts';
import type { FormalLanguagesKey } from '../src/training.ts';

const COUNTING = ['counter-2', 'counter-3', 'dyck-1', 'shuffle-2'];

/** Which models learn which language, as the paper says: none of its numbers are printed here, but where it says 100 %. */
function learns({ language, model }: FormalLanguagesKey): boolean {
  if (COUNTING.includes(language)) return true;
  if (language === 'reset-dyck-1') return !['linearTransformer', 'transformer'].includes(model);
  return !['linearTransformer', 'deltaNet', 'transformer'].includes(model);
}

const rowsOf = (experiment: Experiment, preset: string, accuracy: (key: FormalLanguagesKey) => number) => {
  const config = experiment.config.parse(experiment.presets[preset]?.config ?? {});
  const keys = experiment.trials(config as never) as unknown as FormalLanguagesKey[];
  return keys.map((key) => ({
    ...key,
    seed: 1,
    accuracy50: accuracy(key),
    accuracy100: accuracy(key),
    accuracy200: null,
    layers: (config as { layers: number }).layers,
  }));
};

describe.each([parity, allLanguages] as unknown as Experiment[])('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid, and there are trials', (preset) => {
    expect(rowsOf(experiment, preset, () => 0).length).toBeGreaterThan(4);
  });

  it('the claims hold for what the paper says', () => {
    for (const preset of Object.keys(experiment.presets)) {
      const rows = rowsOf(experiment, preset, (key) => (learns(key) ? 1 : 0.02));
      const verdicts = experiment.claims.map(({ holds }) => holds(rows as never));
      expect(verdicts.filter((verdict) => verdict !== undefined).length).toBeGreaterThan(1);
      for (const verdict of verdicts) expect(verdict?.pass ?? true).toBe(true);
    }
  });

  it('no claim that something is learned holds for a model that has learned nothing, nor the others for one that has it all', () => {
    const negative = /has not|have not|Neither|does not/;
    for (const preset of ['quick', 'standard']) {
      const passed = (accuracy: number) =>
        experiment.claims.filter(({ holds }) => holds(rowsOf(experiment, preset, () => accuracy) as never)?.pass);
      expect(passed(0).every(({ text }) => negative.test(text))).toBe(true);
      expect(passed(1).some(({ text }) => negative.test(text))).toBe(false);
      expect(passed(0).length).toBeGreaterThan(0);
      expect(passed(1).length).toBeGreaterThan(0);
    }
  });
});
