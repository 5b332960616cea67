import { RandomStream } from '@fwp/core';
import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import {
  backpropagationGradient,
  differencesGradient,
  float64Case,
  realTimeGradient,
  relativeError,
} from '../src/float64-gradients.ts';
import { copy, delayedRecall, gradientCheck, rooms, tMaze } from '../src/index.ts';
import { accuracies } from '../src/token-model.ts';

const all = [gradientCheck, delayedRecall, copy, tMaze, rooms] as unknown as Experiment[];

/** What an exact gradient, and what a model that has learned nothing, would measure in a trial. */
const OUTCOMES: Record<string, (key: Record<string, unknown>) => { learned: object; untrained: object }> = {
  'rtrl/gradient-check': ({ gradient, time }) => {
    const errors =
      gradient === 'rtrl' ? { float64Error: 1e-14, float32Error: 1e-6 } : { float64Error: null, float32Error: null };
    const wrong = gradient === 'rtrl' ? { float64Error: 0.3, float32Error: 0.3 } : errors;
    return {
      learned: { kilobytes: gradient === 'rtrl' ? 60 : time, ...errors },
      untrained: { kilobytes: gradient === 'rtrl' ? time : 60, ...wrong },
    };
  },
  'rtrl/delayed-recall': ({ gradient }) => ({
    learned: { accuracy: gradient === 'tbptt' ? 0.26 : 1 },
    untrained: { accuracy: 0.25 },
  }),
  'rtrl/copy': ({ task }) => ({
    learned: { sequenceAccuracy: 1, bitAccuracy: task === 'copy-strict' ? 1 : 0.5 },
    untrained: { sequenceAccuracy: 0.02, bitAccuracy: 0.1 },
  }),
  'rtrl/t-maze': ({ gradient }) => ({
    learned: { success: gradient === 'rtrl' ? 0.99 : 0.5 },
    untrained: { success: 0.5 },
  }),
  'rtrl/rooms': ({ gradient }) => ({
    learned: { success: gradient === 'rtrl' ? 0.95 : 0.5 },
    untrained: { success: 0.1 },
  }),
};

describe.each(all.map((experiment) => [experiment.id, experiment] as const))('%s', (id, experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const config = experiment.config.parse(experiment.presets[name]?.config ?? {});
    expect(experiment.trials(config).length).toBeGreaterThan(0);
  });

  it('the claims hold for what the paper says, and some fail for a model that has learned nothing', () => {
    const config = experiment.config.parse(experiment.presets['standard']?.config ?? {});
    const rows = (kind: 'learned' | 'untrained') =>
      experiment.trials(config).map((key) => ({ ...key, seed: 1, ...OUTCOMES[id]?.(key)[kind] }));
    const verdicts = (kind: 'learned' | 'untrained') =>
      experiment.claims.map(({ text, holds }) => [text, holds(rows(kind) as never)?.pass] as const);
    for (const [text, pass] of verdicts('learned')) expect([text, pass]).toEqual([text, true]);
    // What remains true of them is that truncated and memoryless agents guess.
    const passed = verdicts('untrained').filter(([, pass]) => pass);
    for (const [text] of passed) expect(text).toMatch(/truncated|memory, too|Without a memory|near chance/);
    expect(passed.length).toBeLessThan(experiment.claims.length);
  });
});

describe('float64 gradients', () => {
  it.each([
    { inputs: 1, hidden: 1, time: 1 },
    { inputs: 3, hidden: 4, time: 9 },
    { inputs: 2, hidden: 3, time: 60 },
  ])('of real time, backward and by differences agree: %o', (sizes) => {
    const given = float64Case(sizes, new RandomStream(1));
    const backward = backpropagationGradient(given);
    expect(relativeError(realTimeGradient(given), backward)).toBeLessThan(1e-9);
    expect(relativeError(backward, differencesGradient(given))).toBeLessThan(1e-6);
  });
});

describe('accuracies', () => {
  it('count sequences without an error where it counts, and single targets wherever asked', () => {
    const batch = {
      batchSize: 2,
      length: 3,
      inputs: new Int32Array(6),
      targets: Int32Array.from([0, 1, 2, 0, 1, 1]),
      mask: Float32Array.from([1, 1, 0, 1, 1, 1]),
    };
    const found = accuracies(Int32Array.from([0, 1, 0, 0, 0, 1]), batch, (target) => target !== 0);
    expect(found).toEqual({ sequences: 0.5, tokens: 0.5 });
  });
});
