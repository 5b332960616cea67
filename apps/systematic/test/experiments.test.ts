import { readFileSync } from 'node:fs';
import { dispose, init, RandomStream } from '@fwp/core';
import { scan as generateScan } from '@fwp/datasets';
import { dryRun, type Experiment } from '@fwp/lab';
import { EncoderDecoder } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { scan } from '../src/index.ts';
import { measureSentences } from '../src/sentence-metrics.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

afterAll(dispose);

describe('systematic/scan', () => {
  it.each(Object.keys(scan.presets))('every setting of preset %s is valid', (name) => {
    const config = scan.config.parse(scan.presets[name]?.config ?? {});
    expect(scan.trials(config).length).toBeGreaterThan(1);
    expect(readme).toContain('`systematic/scan`');
  });

  it('preset quick starts', async () => {
    const { trials } = await dryRun(scan as unknown as Experiment, {
      preset: 'quick',
      overrides: ['evaluationExamples=4'],
      device: 'wasm',
      threads: 1,
    });
    for (const { steps } of trials) expect(steps).toBeGreaterThan(0);
  }, 60_000);

  const verdicts = (longer: (model: string) => number, iid: number) => {
    const rows = ['absolute', 'relative', 'relativeUniversal'].map((model) => ({
      model: model as 'absolute',
      seed: 1,
      longer: longer(model),
      longerPrefix: longer(model),
      longerOracle: Math.min(1, longer(model) + 0.2),
      iid,
    }));
    return scan.claims.map(({ holds }) => holds(rows)?.pass);
  };

  it('the claims hold for the published numbers, and not where nothing is learned or everything generalises', () => {
    const published = new Map(scan.published.map((row) => [row['model'], row['longer'] as number]));
    expect(verdicts((model) => published.get(model) ?? 0.7, 1)).toEqual([true, true, true, true]);
    expect(verdicts(() => 0, 0)).toEqual([false, true, false, true]);
    expect(verdicts(() => 1, 1)).toEqual([true, false, false, false]);
  });
});

it('told the length a model is right at least as often, and prefixes are at least as many as whole outputs', async () => {
  await init({ device: 'wasm', threads: 1 });
  const { vocabulary, actionVocabulary, sets } = generateScan({
    verbs: ['walk'],
    turns: [],
    split: { by: 'length', cutoff: 4 },
  });
  const sizes = {
    inputVocabularySize: vocabulary.size,
    outputVocabularySize: actionVocabulary.size,
    size: 8,
    heads: 2,
    layers: 1,
  };

  /** Knows the answers, but ends after the third symbol. */
  class EndsEarly extends EncoderDecoder {
    override generate(
      { tokens, lengths }: Parameters<EncoderDecoder['generate']>[0],
      { length, forbidEnd }: { length: number; forbidEnd?: boolean },
    ): number[][] {
      const rows = tokens.arraySync();
      const counts = lengths.arraySync();
      return rows.map((row, i) => {
        const words = vocabulary.decode(row.slice(0, counts[i]));
        const all = answers.get(words) ?? [];
        return forbidEnd ? [...all, ...new Array<number>(length).fill(3)].slice(0, length) : all.slice(0, 3);
      });
    }
  }
  const answers = new Map<string, number[]>();
  for (const set of Object.values(sets)) {
    const { inputs, inputLength, targets, targetLength, targetLengths, batchSize } = set.take(
      Array.from({ length: set.size }, (_, i) => i),
    );
    for (let row = 0; row < batchSize; row++) {
      const words = vocabulary.decode(inputs.subarray(row * inputLength, (row + 1) * inputLength));
      const end = row * targetLength + (targetLengths[row] as number) - 1;
      answers.set(words, Array.from(targets.subarray(row * targetLength + 1, end)));
    }
  }
  const model = new EndsEarly({ ...sizes, random: new RandomStream(1) });
  const limits = { count: 50, batchSize: 16 };
  expect(measureSentences(model, sets.test, limits)).toEqual({ exact: 0, prefix: 1, oracle: 1 });
  const train = measureSentences(model, sets.train, limits);
  expect(train.exact).toBeGreaterThan(0);
  expect(train.exact).toBeLessThan(1);
  model.dispose();

  const untrained = new EncoderDecoder({ ...sizes, random: new RandomStream(1) });
  const before = tf.memory().numTensors;
  const { exact, prefix, oracle } = measureSentences(untrained, sets.test, { count: 8, batchSize: 4 });
  expect(tf.memory().numTensors).toBe(before);
  expect(oracle).toBeGreaterThanOrEqual(exact);
  expect(prefix).toBeGreaterThanOrEqual(exact);
  untrained.dispose();
});
