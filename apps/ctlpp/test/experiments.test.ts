import { readFileSync } from 'node:fs';
import { classificationSettings, createClassifier } from '@fwp/app-ndr/classification';
import { dispose, init, RandomStream } from '@fwp/core';
import { ctlPlusPlus } from '@fwp/datasets';
import { dryRun, type Experiment } from '@fwp/lab';
import type { SequenceClassifier } from '@fwp/ndr';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import * as experiments from '../src/index.ts';
import { overlap, repeatedGroups } from '../src/index.ts';
import { representationSimilarity, similarityPicture } from '../src/similarity-record.ts';

const all = Object.values(experiments) as unknown as Experiment[];
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

afterAll(dispose);

describe.each(all.map((experiment) => [experiment.id, experiment] as const))('%s', (id, experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const config = experiment.config.parse(experiment.presets[name]?.config ?? {});
    expect(experiment.trials(config as never).length).toBeGreaterThan(0);
  });

  it('is in the README', () => expect(readme).toContain(`\`${id}\``));

  it('preset quick starts', async () => {
    const { trials } = await dryRun(experiment, { preset: 'quick', device: 'wasm', threads: 1 });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  }, 60_000);
});

describe('claims', () => {
  const pattern = (iid: number, outOfDistribution: number) => {
    const rows = ['dataRouterCtlPlusPlus', 'bidirectionalLstm'].map((model) => {
      const success = outOfDistribution > 0.95 ? 1 : 0;
      return { model, seed: 1, iid, outOfDistribution, anyOrder: outOfDistribution, success };
    }) as unknown as Parameters<(typeof repeatedGroups.claims)[number]['holds']>[0];
    return repeatedGroups.claims.map(({ holds }) => holds(rows)?.pass);
  };

  it('hold where training is known and its pattern is all that is', () =>
    expect(pattern(1, 0.4)).toEqual([true, true]));
  it('do not hold without learning, nor where everything generalises', () => {
    expect(pattern(0.125, 0.125)).toEqual([false, false]);
    expect(pattern(1, 1)).toEqual([true, false]);
  });

  it('compare the most overlap with the least', () => {
    const holds = (high: number) => {
      const rows = [2, 8].flatMap((functions) =>
        [2, 6].map((symbols) => {
          const accuracy = functions * symbols === 48 ? high : 0.3;
          return {
            model: 'lstm',
            functions,
            symbols,
            seed: 1,
            iid: 1,
            outOfDistribution: accuracy,
            anyOrder: 0,
            success: 0,
          };
        }),
      );
      return overlap.claims[0]?.holds(rows as never)?.pass;
    };
    expect(holds(0.8)).toBe(true);
    expect(holds(0.3)).toBe(false);
    expect(overlap.claims[0]?.holds([])).toBeUndefined();
  });
});

it('similarities are cosines of representations, drawn as a picture', async () => {
  await init({ device: 'wasm', threads: 1 });
  const task = ctlPlusPlus({ symbols: 4, functions: 6, depths: [2, 3], trainExamples: 50, evaluationExamples: 10 });
  const config = z.object(classificationSettings).parse({ size: 8, hiddenSize: 8, layers: 2 });
  const sizes = { vocabularySize: task.vocabulary.size, classes: 4, readOut: 'first' } as const;
  const model = createClassifier('dataRouterCtlPlusPlus', config, sizes, new RandomStream(1)) as SequenceClassifier;
  const cosines = await representationSimilarity(model, task, 2);
  expect(cosines).toHaveLength(6);
  for (const [i, row] of cosines.entries()) {
    expect(row[i]).toBeCloseTo(1, 4);
    for (const [j, value] of row.entries()) {
      expect(Math.abs(value)).toBeLessThan(1.0001);
      expect(value).toBeCloseTo(cosines[j]?.[i] as number, 4);
    }
  }
  const picture = await similarityPicture(model, task);
  for (const name of ['symbol 0', 'symbol 3', 'a a', 'b f']) expect(picture).toContain(name);
  model.dispose();
});
