import { ARITHMETIC_TOKENS, type TokenTask } from '@fwp/datasets';
import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { lm, recall, synthetic, visualMatch } from '../src/index.ts';
import { publishedSynthetic } from '../src/published.ts';
import { type AccuracyRow, taskOf } from '../src/synthetic.ts';
import { normalizedAccuracy } from '../src/token-task.ts';

const experiments = [lm, recall, synthetic, visualMatch] as unknown as Experiment[];

function keysOf(experiment: Experiment, preset: string): readonly object[] {
  return experiment.trials(experiment.config.parse(experiment.presets[preset]?.config ?? {}));
}

/** The trials of all presets but the paper's. */
function smallKeysOf(experiment: Experiment): readonly object[] {
  const presets = Object.keys(experiment.presets).filter((preset) => preset !== 'paper');
  return presets.flatMap((preset) => keysOf(experiment, preset));
}

/** Texts of the claims that hold for rows. */
function holding(experiment: Experiment, rows: readonly object[]): string[] {
  return experiment.claims.filter(({ holds }) => holds(rows as never)?.pass).map(({ text }) => text);
}

describe.each(experiments)('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid, and there are trials', (preset) => {
    expect(keysOf(experiment, preset).length).toBeGreaterThan(1);
  });

  it('every claim is decided by a preset besides the paper’s, and none without results', () => {
    for (const { holds } of experiment.claims) expect(holds([])).toBeUndefined();
    const rows = smallKeysOf(experiment).map((key) => ({
      ...key,
      seed: 1,
      accuracy: 0,
      bitsPerByte: 8,
      success: 0,
    }));
    for (const { holds, text } of experiment.claims) expect(holds(rows as never), text).toBeDefined();
  });
});

describe('hybrid/synthetic', () => {
  const experiment = synthetic as unknown as Experiment;
  const negative = /do not|does not/;

  it('its claims hold for the published numbers', () => {
    const rows = publishedSynthetic as unknown as AccuracyRow[];
    expect(holding(experiment, rows)).toEqual(experiment.claims.map(({ text }) => text));
  });

  it('no claim that something is learned holds for models that guess, nor the others for ones that know everything', () => {
    const rows = (accuracy: number) => smallKeysOf(experiment).map((key) => ({ ...key, seed: 1, accuracy }));
    expect(holding(experiment, rows(0)).every((text) => negative.test(text))).toBe(true);
    expect(holding(experiment, rows(0)).length).toBe(3);
    expect(holding(experiment, rows(1)).some((text) => negative.test(text))).toBe(false);
    expect(holding(experiment, rows(1)).length).toBe(1);
  });

  it('asks for the parity of the ones, and for values modulo 5', () => {
    const row = (task: TokenTask, index: number) => {
      const { inputs, targets, mask } = task.batch(index, 1, 'test');
      const last = mask.lastIndexOf(1);
      return { tokens: [...inputs.subarray(0, last + 1)], target: targets[last], asked: mask.reduce((a, b) => a + b) };
    };
    for (let index = 0; index < 20; index++) {
      const bits = row(taskOf('parity', [5, 40], 1, 'last'), index);
      expect(bits.target).toBe(bits.tokens.filter((token) => token === 2).length % 2);
      expect(bits.asked).toBe(1);
      const { tokens, target, asked } = row(taskOf('modularArithmetic', [6, 40], 1, 'last'), index);
      const symbols = [' ', '+', '-', '*', '='];
      const spelled = tokens.map((token) => symbols[token] ?? String(token - ARITHMETIC_TOKENS.firstDigit));
      expect(spelled.at(-1)).toBe('=');
      // Sums of signed products, which bind tighter.
      const terms = spelled.slice(0, -1).join('').replaceAll('-', '+-').split('+');
      const product = (term: string) => term.split('*').reduce((sum, factor) => sum * BigInt(factor), 1n);
      const value = terms.reduce((sum, term) => sum + product(term), 0n);
      expect(BigInt(target as number)).toBe(((value % 5n) + 5n) % 5n);
      expect(asked).toBe(1);
    }
  });

  it('accuracies are 0 for guessing', () => {
    expect(normalizedAccuracy(0.5, 2)).toBe(0);
    expect(normalizedAccuracy(0.2, 5)).toBeCloseTo(0);
    expect(normalizedAccuracy(1, 5)).toBe(1);
    expect(normalizedAccuracy(0.6, 5)).toBeCloseTo(0.5);
  });
});

describe('hybrid/recall', () => {
  const experiment = recall as unknown as Experiment;
  const rows = (accuracy: (model: string) => number) =>
    keysOf(experiment, 'quick').map((key) => ({ ...key, accuracy: accuracy((key as { model: string }).model) }));

  it('its claims hold where recall grows with the window, and not for models that recall nothing or everything', () => {
    const growing = (model: string) => (model.endsWith('= 32') ? 1 : model.endsWith('= 8') ? 0.4 : 0.2);
    expect(holding(experiment, rows(growing))).toHaveLength(2);
    expect(
      holding(
        experiment,
        rows(() => 0.06),
      ),
    ).toEqual([]);
    expect(
      holding(
        experiment,
        rows(() => 1),
      ),
    ).toEqual([]);
  });
});

describe('hybrid/lm', () => {
  const experiment = lm as unknown as Experiment;
  const rows = (bits: Readonly<Record<string, number>>, other: number) =>
    keysOf(experiment, 'standard').map((key) => ({
      ...key,
      bitsPerByte: bits[(key as { model: string }).model] ?? other,
    }));

  it('its claims hold where the synchronous blend is best, and none holds where it is worst', () => {
    expect(holding(experiment, rows({ synchronous: 1.2 }, 1.4))).toHaveLength(experiment.claims.length);
    expect(holding(experiment, rows({ synchronous: 1.4 }, 1.2))).toEqual([]);
    // Models that have learned nothing cost the same: that the fast weights help must fail.
    expect(holding(experiment, rows({}, 8)).some((text) => text.includes('fast weights'))).toBe(false);
  });
});

describe('hybrid/visual-match', () => {
  const experiment = visualMatch as unknown as Experiment;
  const rows = (success: (model: string) => number) =>
    smallKeysOf(experiment).map((key) => ({ ...key, success: success((key as { model: string }).model) }));

  it('its claims hold where fast weights remember what a window forgets, as in the paper', () => {
    const told = rows((model) => ({ window: 0.33, deltaNet: 0.85 })[model] ?? 0.9);
    expect(holding(experiment, told)).toHaveLength(experiment.claims.length);
  });

  it('no claim that something is remembered holds for agents that have learned nothing, or that guess', () => {
    for (const success of [0, 1 / 3]) {
      const told = holding(
        experiment,
        rows(() => success),
      );
      expect(told).toEqual([expect.stringContaining('forgotten')]);
    }
    // A window that remembered would refute the claim about it.
    const perfect = holding(
      experiment,
      rows(() => 1),
    );
    expect(perfect.some((text) => text.includes('forgotten'))).toBe(false);
    const behind = holding(
      experiment,
      rows((model) => (model === 'synchronous' ? 0.75 : 0.95)),
    );
    expect(behind).toEqual([expect.stringContaining('remember')]);
  });
});
