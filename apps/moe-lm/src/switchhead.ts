/**
 * What SwitchHead saves: attention with two heads, whose values and outputs are made by experts, beside dense attention with many
 * heads and as many parameters, and with as few heads. Multiply-adds and floats as the paper counts them, time and memory as they
 * are here, and optionally a language model with each.
 */

import { type RandomStream, randomNormal } from '@fwp/core';
import { defineExperiment, type TrialContext, type Verdict } from '@fwp/lab';
import {
  type AttentionBlock,
  type AttentionCost,
  DenseBlock,
  denseAttentionCost,
  preNormScale,
  RelativeAttention,
  SwitchHead,
  switchHeadCost,
  TransformerXl,
} from '@fwp/moe';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { type LanguageModelResult, languageModelSettings, trainLanguageModel } from './language-model-training.ts';
import { type Measurement, measure } from './measure.ts';
import { switchHeadPaper } from './papers.ts';
import { publishedAttention } from './published.ts';
import { openText } from './text.ts';
import { usageWatcher } from './usage-watcher.ts';

/** Names of the attention blocks. */
export const ATTENTIONS = ['dense-many-heads', 'dense-few-heads', 'switchhead'] as const;

/** Name of an attention block. */
export type AttentionName = (typeof ATTENTIONS)[number];

const config = z.object({
  models: z
    .array(z.enum(ATTENTIONS))
    .min(1)
    .default([...ATTENTIONS]),
  lengths: z
    .array(z.int().min(1))
    .min(1)
    .default([256, 512, 1024])
    .describe('segments to measure, with as long a memory'),
  train: z
    .boolean()
    .default(true)
    .describe('whether to train a language model with each block, at the length of the configuration'),
  ...languageModelSettings,
  size: z.int().min(2).default(128).describe('size of embeddings and hidden vectors'),
  length: z.int().min(2).default(256).describe('tokens of a training sequence'),
  memoryLength: z.int().min(0).default(256).describe('tokens before a sequence that a model remembers'),
  validationMemoryLength: z.int().min(0).default(256).describe('the same in validation'),
  batchSize: z.int().min(1).default(4).describe('streams'),
  validationBatchSize: z.int().min(1).default(2),
  manyHeads: z.int().min(1).default(8).describe('heads of the dense block with many'),
  fewHeads: z.int().min(1).default(2).describe('heads of the others'),
  width: z.int().min(1).default(128).describe('size of all heads of a dense block together'),
  switchHeadSize: z.int().min(1).default(28).describe("size of SwitchHead's heads, for as many parameters"),
  experts: z.int().min(1).default(4).describe('experts of a head'),
  active: z.int().min(1).default(2).describe('experts of a head that work for a token'),
  hiddenSize: z.int().min(1).default(256).describe('hidden units of the feed-forward blocks'),
  switchHeadHiddenSize: z
    .int()
    .min(1)
    .default(260)
    .describe('the same with SwitchHead, which may have fewer parameters'),
});

type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly model: AttentionName;
  readonly length: number;
  readonly [name: string]: string | number;
}

/** What a trial measures: time and memory of one layer for one sequence. */
interface Result extends Measurement, AttentionCost {
  /** Of one layer. */
  readonly parameters: number;
  /** Of the language model; `null` where none is trained: at other lengths than the configuration's. */
  readonly bitsPerByte: number | null;
  /** Of a token, `null` in the same places; the paper's is of subwords of WikiText-103. */
  readonly perplexity: number | null;
  readonly [name: string]: number | null;
}

export const switchhead = defineExperiment({
  id: 'moe/switchhead',
  title: 'Attention with experts for values and outputs: what it costs',
  description:
    'One attention layer in equal numbers of parameters: dense with many heads, dense with few, and SwitchHead with few. Multiply-adds ' +
    'and stored floats as the paper counts them, measured time of the forward pass and of a training step, bytes kept between the ' +
    'passes; and bits per byte of a language model with each.',
  paper: switchHeadPaper,
  config,
  presets: {
    quick: { summary: 'one layer of size 128 for segments of 256 to 1024; no training', config: { train: false } },
    standard: { summary: 'the same, and a language model of two layers with each', config: { steps: 400 } },
    paper: {
      summary: 'the 47-million-parameter models of the paper on subwords of WikiText-103',
      config: {
        ...{ corpus: 'wikitext-103', tokens: 'subwords', trainBytes: 1_000_000_000, validationBytes: 2_000_000 },
        ...{ layers: 16, size: 412, manyHeads: 10, width: 410, switchHeadSize: 76, experts: 5, hiddenSize: 2053 },
        ...{
          switchHeadHiddenSize: 2080,
          lengths: [256],
          batchSize: 64,
          validationBatchSize: 64,
          steps: 100_000,
          learningRate: 2.5e-4,
          clipNorm: 0.1,
          dropout: 0.1,
          evaluateEvery: 2000,
        },
      },
    },
  },
  trials: ({ models, lengths }) => lengths.flatMap((length) => models.map((model): Key => ({ model, length }))),
  run: runTrial,
  published: publishedAttention,
  claims: [
    {
      text: 'SwitchHead takes less than half of the multiply-adds of dense attention with as many parameters, and less than a third of the floats.',
      holds: (rows) =>
        compare(rows, ({ dense, sparse }) => {
          const [adds, floats] = [sparse.multiplyAdds / dense.multiplyAdds, sparse.floats / dense.floats];
          return { pass: adds < 0.5 && floats < 1 / 3, observed: `${percent(adds)} and ${percent(floats)}` };
        }),
    },
    {
      text: 'A training step keeps less than half of the bytes.',
      holds: (rows) =>
        compare(rows, ({ dense, sparse }) => {
          const ratio = sparse.activationBytes / dense.activationBytes;
          return { pass: ratio < 0.5, observed: percent(ratio) };
        }),
    },
    {
      text: 'A training step is faster.',
      holds: (rows) =>
        compare(rows, ({ dense, sparse }) => {
          const ratio = sparse.stepMs / dense.stepMs;
          return { pass: ratio < 1, observed: `${percent(ratio)} of the time` };
        }),
    },
  ],
  report: {
    metric: 'stepMs',
    rows: 'model',
    columns: 'length',
    charts: (['stepMs', 'forwardMs', 'activationBytes', 'multiplyAdds'] as const).map((y) => ({
      title: {
        stepMs: 'Training step of a layer, ms',
        forwardMs: 'Forward pass of a layer, ms',
        activationBytes: 'Bytes kept between the passes',
        multiplyAdds: 'Multiply-adds',
      }[y],
      ...{ from: 'results' as const, x: 'length', y, series: 'model', yScale: 'log' as const },
    })),
  },
});

async function runTrial(context: TrialContext<Config, Key>): Promise<Result> {
  const { config, key, random } = context;
  const { size } = config;
  const block = makeAttention(key.model, config, random.split('layer'));
  const draw = () => randomNormal(random.split('inputs'), [1, key.length, size]) as tf.Tensor3D;
  const [inputs, memory] = [draw(), draw()];
  const measured = await measure(block, () => tf.tidy(() => block.apply(inputs, { memory }).outputs));
  const { parameterCount: parameters } = block;
  block.dispose();
  tf.dispose([inputs, memory]);
  const trained = config.train && key.length === config.length ? await trainModel(context) : undefined;
  const cost = costOf(key, config);
  const { bitsPerByte = null, perplexity = null } = trained ?? {};
  return { ...measured, ...cost, parameters, bitsPerByte, perplexity };
}

function makeAttention(name: AttentionName, config: Config, random: RandomStream): AttentionBlock {
  const { size, layers, experts, active } = config;
  const common = { size, initialScale: preNormScale(layers), random };
  if (name === 'switchhead') {
    return new SwitchHead({ heads: config.fewHeads, headSize: config.switchHeadSize, experts, active, ...common });
  }
  return new RelativeAttention({ ...denseHeads(name, config), ...common });
}

function denseHeads(name: AttentionName, config: Config): { heads: number; headSize: number } {
  const heads = name === 'dense-many-heads' ? config.manyHeads : config.fewHeads;
  return { heads, headSize: config.width / heads };
}

/** As the paper counts, for a memory as long as the segment. */
function costOf({ model, length }: Key, config: Config): AttentionCost {
  const { size, experts, active } = config;
  if (model !== 'switchhead') return denseAttentionCost({ ...denseHeads(model, config), size, length });
  const heads = { heads: config.fewHeads, headSize: config.switchHeadSize };
  return switchHeadCost({ ...heads, size, length }, { experts, active });
}

async function trainModel(context: TrialContext<Config, Key>): Promise<LanguageModelResult> {
  const { config, key, random, seed, artifact } = context;
  const text = await openText(config, seed);
  const { size, layers, dropout, memoryLength } = config;
  const weights = random.split('weights');
  const hiddenSize = key.model === 'switchhead' ? config.switchHeadHiddenSize : config.hiddenSize;
  const feedForward = { size, hiddenSize, dropout, initialScale: preNormScale(layers), random: weights };
  const model = new TransformerXl({
    ...{ vocabularySize: text.vocabularySize, size, layers, memoryLength, dropout, random: weights },
    attention: () => makeAttention(key.model, config, weights),
    feedForward: () => new DenseBlock(feedForward),
  });
  const [values, outputs] = [usageWatcher('valueExperts'), usageWatcher('outputExperts')];
  const result = await trainLanguageModel(context, {
    ...{ model, text, regularizationWeight: 0 },
    watch: (layers) => {
      values.watch(layers);
      outputs.watch(layers);
    },
  });
  if (values.isUsed()) await artifact('value-experts.svg', values.picture('Value experts of the first head, by layer'));
  if (outputs.isUsed()) {
    await artifact('output-experts.svg', outputs.picture('Output experts of the first head, by layer'));
  }
  model.dispose();
  text.close();
  return result;
}

/** Decides on the rows of the longest segments. */
function compare(
  rows: readonly (Key & Result)[],
  decide: (pair: { dense: Result; sparse: Result }) => Verdict,
): Verdict | undefined {
  const length = Math.max(...rows.map((row) => row.length));
  const rowOf = (name: AttentionName) => rows.find((row) => row.model === name && row.length === length);
  const [dense, sparse] = [rowOf('dense-many-heads'), rowOf('switchhead')];
  if (dense === undefined || sparse === undefined) return undefined;
  const { pass, observed } = decide({ dense, sparse });
  return { pass, observed: `${observed} with segments of ${length}` };
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(0)} %`;
}
