import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { bootstrapping, fewShotLearning, sequentialAdaptation } from '../src/index.ts';

type AnyRow = Readonly<Record<string, string | number>>;

/** What a trial of each experiment gives, for a learner that does what the papers say and for one that has learned nothing. */
const cases: [Experiment, string, (key: AnyRow) => AnyRow, (key: AnyRow) => AnyRow][] = [
  [
    fewShotLearning as unknown as Experiment,
    'model',
    ({ model }) => ({ accuracy: model === 'staticSrwm' ? 0.2 : model === 'srwm' ? 0.88 : 0.96 }),
    () => ({ accuracy: 0.2 }),
  ],
  [
    sequentialAdaptation as unknown as Experiment,
    'model',
    ({ model }) =>
      model === 'staticSrwm'
        ? { firstTask: 0.34, atTheSwitch: 0.33, secondTask: 0.34 }
        : { firstTask: 0.95, atTheSwitch: 0.33, secondTask: 0.93 },
    () => ({ firstTask: 0.2, atTheSwitch: 0.2, secondTask: 0.2 }),
  ],
  [
    bootstrapping as unknown as Experiment,
    'objective',
    ({ objective }) =>
      objective === 'bootstrap'
        ? { accuracy: 0.72, futureAccuracy: 0.8, steps: 8000 }
        : { accuracy: 0.6, futureAccuracy: 0.67, steps: 8000 },
    () => ({ accuracy: 0.2, futureAccuracy: 0.2, steps: 8000 }),
  ],
];

describe.each(cases.map((row) => [row[0].id, ...row] as const))('%s', (_id, experiment, field, learned, untrained) => {
  const rowsOf = (preset: string, measure: (key: AnyRow) => AnyRow) => {
    const config = experiment.config.parse(experiment.presets[preset]?.config ?? {});
    return experiment.trials(config).map((key) => ({ ...key, ...measure(key as AnyRow), parameters: 1, seed: 1 }));
  };

  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (preset) => {
    const values = rowsOf(preset, learned).map((row) => (row as AnyRow)[field]);
    expect(new Set(values).size).toBeGreaterThan(1);
  });

  // No table of the papers could be checked, so the numbers are those that a working reproduction measured.
  it('the claims hold for learners that learn, and not all of them for those that do not', () => {
    const decide = (measure: (key: AnyRow) => AnyRow) =>
      experiment.claims.map(({ holds }) => holds(rowsOf('quick', measure) as never)?.pass);
    expect(decide(learned).every((pass) => pass !== false)).toBe(true);
    expect(decide(learned)).toContain(true);
    expect(decide(untrained)).toContain(false);
    expect(decide(untrained)).not.toEqual(decide(learned));
  });
});
