import { dispose, init, RandomStream } from '@fwp/core';
import { compositionalTableLookup } from '@fwp/datasets';
import type { LstmClassifier, SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import {
  accuracyOf,
  CLASSIFIERS,
  classificationSettings,
  createClassifier,
  evaluate,
  onSentences,
  settingsOf,
} from '../src/classification-training.ts';
import { heatMapPicture } from '../src/heat-map-picture.ts';
import { recordRouting } from '../src/routing-record.ts';

beforeAll(() => init({ device: 'wasm', threads: 1 }));
afterAll(dispose);

const config = z.object(classificationSettings).parse({ size: 8, hiddenSize: 8, layers: 2 });
const task = compositionalTableLookup({
  symbols: 4,
  functions: 3,
  newFunctions: 0,
  maxDepth: 3,
  trainExamples: 50,
  evaluationExamples: 10,
  extrapolationExamples: 40,
  heldOutCompositions: 0,
});
const data = { vocabularySize: task.vocabulary.size, classes: 4, readOut: 'last' } as const;

it.each(CLASSIFIERS)('%s can be made, and is evaluated by depth', async (name) => {
  const before = tf.memory().numTensors;
  const model = createClassifier(name, config, data, new RandomStream(1));
  const evaluated = await evaluate(model, task.sets.deeper, 16);
  expect([...evaluated.keys()]).toEqual([7, 8]);
  expect([...evaluated.values()].reduce((sum, { count }) => sum + count, 0)).toBe(40);
  expect(accuracyOf(evaluated)).toBeLessThan(0.8);
  expect(model.training).toBe(true);
  model.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

it('accuracies are shares of right answers', () => {
  const evaluated = new Map([
    [5, { right: 3, count: 4 }],
    [6, { right: 0, count: 4 }],
  ]);
  expect(accuracyOf(evaluated)).toBe(3 / 8);
  expect(accuracyOf(evaluated, (depth) => depth === 5)).toBe(3 / 4);
  expect(accuracyOf(evaluated, (depth) => depth === 9)).toBeNaN();
});

it('models without a gate may have settings of their own', () => {
  const different = { ...config, baselines: { heads: 4, steps: 7 } };
  expect(settingsOf('neuralDataRouter', different)).toEqual(different);
  for (const name of ['relativeUniversal', 'lstm']) {
    expect(settingsOf(name, different)).toEqual({ ...different, heads: 4, steps: 7, attentionDropout: 0 });
  }
  const ablations = { ...different, gated: { steps: 9 }, lstm: { steps: 8, stateSize: 5 } };
  expect(settingsOf('gatedPositions', ablations)).toEqual({ ...ablations, steps: 9, attentionDropout: 0 });
  expect(settingsOf('lstm', ablations)).toMatchObject({ heads: 4, steps: 8 });
  const lstm = createClassifier('lstm', ablations, data, new RandomStream(1)) as LstmClassifier;
  expect(lstm.lstm.hiddenSize).toBe(5);
  lstm.dispose();
});

it('dropout of attention is that of keys, of softmax attention only where it is asked for', () => {
  const dropped = { ...config, baselines: { attentionDropout: 0.3 } };
  expect(settingsOf('geometric', config).attentionDropout).toBe(config.attentionDropout);
  expect(settingsOf('relativeUniversal', dropped).attentionDropout).toBe(0.3);
});

it('lengths are given only where there is padding', () => {
  const lengths = (numbers: number[]) => onSentences(task.sets.train.take(numbers), (_, given) => given?.shape[0]);
  expect(lengths([0, 1])).toBeUndefined();
  expect(lengths([0, task.sets.train.size - 1])).toBe(2);
});

it('pictures show each layer, and are well-formed', async () => {
  const model = createClassifier('neuralDataRouter', config, data, new RandomStream(1)) as SequenceClassifier;
  const picture = await recordRouting(model, task.sets.deeper, task.vocabulary);
  expect(picture).toContain('layer 2');
  expect(picture).toContain('>gate<');
  expect(picture.match(/<g /g)?.length).toBe(picture.match(/<\/g>/g)?.length);
  model.dispose();
  const escaped = heatMapPicture('a < b', [[{ title: '&', values: [[1, 0.5]] }]], 'note');
  expect(escaped).toContain('a &lt; b');
  expect(escaped).toContain('fill-opacity="0.50"');
});
