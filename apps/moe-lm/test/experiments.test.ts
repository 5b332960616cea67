import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { lm, routerUsage, scaling, switchhead } from '../src/index.ts';
import { publishedAttention, publishedFeedForward } from '../src/published.ts';

const experiments = [lm, routerUsage, scaling, switchhead] as unknown as Experiment[];

describe.each(experiments.map((experiment) => [experiment.id, experiment] as const))('%s', (_, experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const { extends: base = name } = experiment.presets[name] as { readonly extends?: string };
    const settings = {
      ...(experiment.presets[base]?.config as object),
      ...(experiment.presets[name]?.config as object),
    };
    expect(experiment.trials(experiment.config.parse(settings)).length).toBeGreaterThan(2);
  });
});

/** Verdicts by the text of the claims; `undefined` where they weren't measured. */
function verdicts(experiment: { claims: readonly { text: string; holds(rows: never): unknown }[] }, rows: unknown) {
  return experiment.claims.map(({ text, holds }) => [
    text,
    (holds(rows as never) as { pass: boolean } | undefined)?.pass,
  ]);
}

describe('claims of moe/lm', () => {
  const rowsOf = (bits: (row: (typeof publishedFeedForward)[number]) => number) =>
    publishedFeedForward.map((row) => ({ ...row, seed: 1, bitsPerByte: bits(row), feedForwardShare: 0.25 }));

  it("hold for the authors' numbers on WikiText-103, as bits per subword, which have no dense model of equal compute", () => {
    const results = verdicts(
      lm,
      rowsOf(({ perplexity }) => Math.log2(perplexity as number)),
    );
    expect(results.map(([, pass]) => pass)).toEqual([true, undefined, true, true, true]);
  });

  it('do not hold for models that have learned nothing', () => {
    const rows = lm
      .trials(lm.config.parse({}) as never)
      .map(({ model }) => ({ model, seed: 1, bitsPerByte: 8, feedForwardShare: 0.25 }));
    expect(verdicts(lm, rows).map(([, pass]) => pass)).toEqual([false, false, false, false, false]);
  });

  it('do not hold if a mixture of experts costs what the dense model does', () => {
    const rows = rowsOf(({ perplexity }) => Math.log2(perplexity as number)).map((row) => ({
      ...row,
      feedForwardShare: 1,
    }));
    expect(verdicts(lm, rows)[0]?.[1]).toBe(false);
  });
});

describe('claims of moe/router-usage', () => {
  const rowsOf = (usage: number, dead: number) =>
    ['sigma-moe', 'sigma-moe-unregularized', 'softmax-top-1'].map((router) => ({
      router,
      seed: 1,
      usage,
      dead,
      loss: 1,
    }));

  it('do not hold if all tokens go to one expert', () => {
    expect(verdicts(routerUsage, rowsOf(1 / 16, 15)).every(([, pass]) => pass === false)).toBe(true);
  });

  it('do not hold if balancing makes no difference', () => {
    const results = verdicts(routerUsage, rowsOf(1, 0));
    expect(results.map(([, pass]) => pass)).toEqual([true, false, false]);
  });
});

describe('claims of moe/scaling', () => {
  const rows = [16, 128].flatMap((experts) =>
    (['dense', 'sigma-moe'] as const).map((block) => {
      // The dense block as it must be, one layer of experts after another; a mixture that grows like it.
      const cost = experts * 10;
      return {
        block,
        experts,
        seed: 1,
        forwardMs: cost,
        stepMs: cost,
        activationBytes: 64 * cost,
        multiplyAdds: cost,
        tokens: 1,
      };
    }),
  );

  it('do not hold for experts that cost in proportion', () => {
    expect(verdicts(scaling, rows).map(([, pass]) => pass)).toEqual([false, false, true]);
  });

  it('do not hold for a dense block that costs the same', () => {
    const flat = rows.map((row) => ({ ...row, stepMs: 1, activationBytes: 1 }));
    expect(verdicts(scaling, flat).map(([, pass]) => pass)).toEqual([true, true, false]);
  });
});

describe('claims of moe/switchhead', () => {
  const rowsOf = (scale: number) =>
    publishedAttention.flatMap((row) => {
      const [multiplyAdds, floats] = [row['multiplyAdds'], row['floats']];
      if (typeof multiplyAdds !== 'number' || typeof floats !== 'number') return [];
      // Table 5: 0.72 of the time of a training step.
      const stepMs = row['model'] === 'switchhead' ? 342 * scale : 473;
      return [{ ...row, seed: 1, multiplyAdds, floats: floats * scale, activationBytes: floats * scale, stepMs }];
    });

  it("hold for the authors' numbers", () => {
    expect(verdicts(switchhead, rowsOf(1)).map(([, pass]) => pass)).toEqual([true, true, true]);
  });

  it('do not hold for dense attention', () => {
    const [dense] = rowsOf(1);
    const rows = [dense, { ...dense, model: 'switchhead' }];
    expect(verdicts(switchhead, rows).map(([, pass]) => pass)).toEqual([false, false, false]);
  });
});
