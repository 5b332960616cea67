import { type Experiment, formatTable } from '@fwp/lab';
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
  /** The authors' numbers on WikiText-103, as bits per subword. */
  const rowsOf = (feedForwardShare: number) =>
    publishedFeedForward.flatMap(({ perplexity, ...row }) =>
      typeof perplexity === 'number' ? [{ ...row, seed: 1, bitsPerByte: Math.log2(perplexity), feedForwardShare }] : [],
    );

  it("hold for the authors' numbers, which have no dense model of equal compute", () => {
    const results = verdicts(lm, rowsOf(0.25));
    expect(results.map(([, pass]) => pass)).toEqual([true, undefined, true, true, true]);
  });

  it('do not hold for models that have learned nothing', () => {
    const rows = lm
      .trials(lm.config.parse({}) as never)
      .map(({ model }) => ({ model, seed: 1, bitsPerByte: 8, feedForwardShare: 0.25 }));
    expect(verdicts(lm, rows).map(([, pass]) => pass)).toEqual([false, false, false, false, false]);
  });

  it('do not hold if a mixture of experts costs what the dense model does', () => {
    expect(verdicts(lm, rowsOf(1))[0]?.[1]).toBe(false);
  });
});

describe('published numbers of moe/lm', () => {
  /** The tables of a metric for some settings, and the names of the trials. */
  const tableOf = (settings: object, metric: 'bitsPerByte' | 'perplexity') => {
    const keys = lm.trials(lm.config.parse({ models: ['dense', 'sigma-moe'], ...settings }));
    const rows = keys.map((key) => ({ ...key, seed: 1, bitsPerByte: 1.25, perplexity: 12.5 }));
    const keyFields = [...new Set(keys.flatMap((key) => Object.keys(key)))];
    return formatTable({ layout: { rows: 'model', metric }, keyFields, rows, published: publishedFeedForward });
  };
  const presets = lm.presets as Readonly<Record<string, { readonly config?: object }>>;
  const [enwik8, wikitext] = ['paper', 'paper-wikitext-103'].map((name) => ({
    ...presets[name]?.config,
    models: ['dense', 'sigma-moe'],
  })) as [object, object];

  it('stand beside bits per byte of enwik8 and perplexities of WikiText-103, and never the other way round', () => {
    expect(tableOf(enwik8, 'bitsPerByte')).toContain('1.08');
    expect(tableOf(enwik8, 'perplexity')).not.toMatch(/11\.81|11\.59/);
    expect(tableOf(wikitext, 'perplexity')).toMatch(/11\.81[\s\S]*11\.59/);
    expect(tableOf(wikitext, 'bitsPerByte')).not.toContain('1.08');
  });

  it('are those of enwik8 beside bits per byte of other texts', () => {
    expect(tableOf({}, 'bitsPerByte')).toContain('1.08');
    expect(lm.trials(lm.config.parse({}))[0]).toEqual({ model: 'dense' });
  });

  it('are of models that the paper clips differently on WikiText-103', () => {
    expect(lm.config.parse(wikitext)).toMatchObject({ clipNorm: 0.25, denseClipNorm: 0.1 });
    expect(lm.config.parse(enwik8)).toMatchObject({ clipNorm: 0.25 });
    expect(lm.config.parse(enwik8).denseClipNorm).toBeUndefined();
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
