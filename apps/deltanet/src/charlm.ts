/**
 * A language model of bytes with several memories in turn, at (nearly) equal numbers of parameters: linear attention with
 * the sum rule, with the delta rule, and softmax attention; section 6.3 of the paper at the size of a small machine.
 */

import { defineExperiment, type Verdict } from '@fwp/lab';
import { z } from 'zod';
import { languageModelSettings, trainLanguageModel } from './language-model-training.ts';
import { paper } from './paper.ts';

export const charlm = defineExperiment({
  id: 'deltanet/charlm',
  title: 'Language models of bytes: sum rule, delta rule, softmax',
  description:
    'Trains the same decoder with different memories on the same bytes. By default the text gives values to names, changes ' +
    'them and looks them up: it needs no download, its best possible loss is known, and the fraction of look-ups that a ' +
    'model gets right is measured ("recall"). Corpora of real text can be chosen with --set corpus=….',
  paper,
  config: z.object(languageModelSettings),
  presets: {
    quick: {
      summary: 'two layers of size 64 on synthetic text: sum rule, delta rule with keys of length 1, softmax',
      measuredSeconds: { wasm: 137 },
      config: { models: ['linearAttention', 'deltaNet2024', 'softmaxAttention'], steps: 600 },
    },
    standard: {
      summary: 'four layers of size 128 with a context of 256 on synthetic text; also the DeltaNet of the paper',
      config: { layers: 4, size: 128, heads: 8, feedForwardSize: 512, length: 256, steps: 800, learningRate: 1e-3 },
    },
    paper: {
      summary: "the paper's small model, on the bytes instead of the words of WikiText-103",
      config: {
        corpus: 'wikitext-103',
        trainBytes: 1_000_000_000,
        validationBytes: 2_000_000,
        layers: 16,
        size: 128,
        heads: 8,
        feedForwardSize: 2048,
        window: 1,
        placement: 'post',
        positions: 'sinusoidal',
        dropout: 0.1,
        tieWeights: true,
        initialization: 'paper',
        length: 256,
        batchSize: 96,
        steps: 500_000,
        warmupSteps: 2000,
        learningRate: 2.5e-4,
        clipNorm: 0.25,
        evaluateEvery: 5000,
      },
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run: trainLanguageModel,
  published: [],
  claims: [
    {
      text: 'A delta rule that overwrites (keys of length 1) costs fewer bits per byte than the sum rule.',
      holds: (rows) => isCheaper(rows, 'deltaNet2024', 'linearAttention'),
    },
    {
      text: 'It recalls re-assigned names: at least 95 of 100 look-ups.',
      holds: (rows) => {
        const recall = rows.find(({ model }) => model === 'deltaNet2024')?.recall;
        if (typeof recall !== 'number') return undefined;
        return { pass: recall >= 0.95, observed: `${(100 * recall).toFixed(1)} of 100` };
      },
    },
    {
      text: 'The DeltaNet of the paper (features that add up to 1) costs fewer bits per byte than the sum rule.',
      holds: (rows) => isCheaper(rows, 'deltaNet', 'linearAttention'),
    },
  ],
  report: {
    metric: 'bitsPerByte',
    rows: 'model',
    charts: [
      {
        title: 'Validation loss during training, bits per byte',
        from: 'metrics',
        x: 'step',
        y: 'bitsPerByte',
        series: 'model',
      },
      { title: 'Look-ups that are predicted', from: 'metrics', x: 'step', y: 'recall', series: 'model' },
    ],
  },
});

interface LossRow {
  readonly model: string;
  readonly bitsPerByte: number;
}

function isCheaper(rows: readonly LossRow[], model: string, than: string): Verdict | undefined {
  const [ours, theirs] = [model, than].map((name) => rows.find((row) => row.model === name)?.bitsPerByte);
  if (ours === undefined || theirs === undefined) return undefined;
  return { pass: ours < theirs, observed: `${ours.toFixed(3)} against ${theirs.toFixed(3)} bits per byte` };
}
