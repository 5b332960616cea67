/**
 * What a token of a stream costs, and how much a model has to remember, against the position in the stream (the paper's figure of
 * the time for a token): a Transformer keeps keys and values of all tokens, a DeltaNet a matrix, a PSM the live roots of its tree.
 * The models are not trained; what they cost does not depend on what they have learned.
 */

import type { RandomStream } from '@fwp/core';
import { defineExperiment, readValues, type TrialContext } from '@fwp/lab';
import type { PrefixScannableState } from '@fwp/psm';
import type { SequenceTagger } from '@fwp/rfwp';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { curvePicture } from './curve-picture.ts';
import { latencyClaims } from './latency-claims.ts';
import { makeModel } from './models.ts';
import { paper } from './paper.ts';
import { treePicture } from './tree-picture.ts';

const MODELS = ['psm', 'transformer', 'deltaNet'] as const;

const settings = z.object({
  models: z
    .array(z.enum(MODELS))
    .min(1)
    .default([...MODELS]),
  chunkSize: z.int().min(1).default(32),
  size: z.int().min(1).default(64),
  heads: z.int().min(1).default(4),
  layers: z.int().min(1).default(1).describe('blocks of Inf and of the others'),
  aggregatorLayers: z.int().min(1).default(1),
  tokens: z.int().min(256).default(4096).describe('length of the stream'),
  transformerTokens: z
    .int()
    .min(256)
    .default(4096)
    .describe('length at most of the Transformer’s, whose cost is quadratic'),
});

/** Configuration. */
export type LatencyConfig = z.infer<typeof settings>;

/** Names a trial. */
export type LatencyKey = { readonly model: (typeof MODELS)[number] };

/** Measurements of a trial. */
export type LatencyResult = {
  /** Mean milliseconds of a token in the second eighth of the stream, when everything is warm. */
  readonly earlyMilliseconds: number;
  /** The same in the last eighth. */
  readonly lateMilliseconds: number;
  /** Most numbers that the state had in these parts of the stream. */
  readonly earlyNumbers: number;
  readonly lateNumbers: number;
  /** Most live roots of a PSM's tree in the last eighth; `null` for other models. */
  readonly lateRoots: number | null;
  /** Chunks behind which there were not as many roots as ones in the binary number of the chunks so far. */
  readonly unexpectedRoots: number | null;
  /** How many times as far the late part is in the stream. */
  readonly distance: number;
  readonly tokens: number;
};

const PARTS = 8;

async function run({ config, key, random, steps, log, artifact }: TrialContext<LatencyConfig, LatencyKey>) {
  const { chunkSize, layers } = config;
  const sizes = { ...config, inferenceLayers: layers, dropout: 0 };
  const tokens = key.model === 'transformer' ? Math.min(config.tokens, config.transformerTokens) : config.tokens;
  const part = Math.floor(tokens / PARTS);
  const task = { vocabularySize: 256, targetCount: 256, maximumLength: PARTS * part };
  const model = makeModel(key.model, sizes, task, random.split('weights')).eval();
  const input = random.split('tokens');
  const record = { milliseconds: [] as number[], numbers: [] as number[], roots: [] as number[], unexpectedRoots: 0 };
  let state = model.initialState(1);
  let position = 0;
  const read = async (end: number): Promise<Extent> => {
    const most = { numbers: 0, roots: 0, unexpectedRoots: 0 };
    while (position < end) {
      const next = await advance(model, state, input);
      tf.dispose(state);
      state = next;
      position++;
      if (position % 16 === 0) most.numbers = Math.max(most.numbers, numbersOf(state));
      if (position % chunkSize !== 0) continue;
      const roots = rootsOf(state);
      most.roots = Math.max(most.roots, roots);
      if (roots !== onesOf(position / chunkSize)) most.unexpectedRoots++;
    }
    return most;
  };
  for await (const step of steps({ total: PARTS, module: model, state: record })) {
    // A resumed run has its record, but has to come to where the stream was.
    await read((step - 1) * part);
    const begin = performance.now();
    const most = await read(step * part);
    const milliseconds = (performance.now() - begin) / part;
    record.milliseconds.push(milliseconds);
    record.numbers.push(most.numbers);
    record.roots.push(most.roots);
    record.unexpectedRoots += most.unexpectedRoots;
    log({ milliseconds, numbers: most.numbers, position });
  }
  tf.dispose(state);
  model.dispose();
  const { milliseconds, numbers, roots, unexpectedRoots } = record;
  const positions = milliseconds.map((_, i) => (i + 1) * part);
  await artifact('time.svg', curvePicture(`${key.model}: milliseconds of a token`, positions, milliseconds));
  await artifact('state.svg', curvePicture(`${key.model}: numbers in the state, at most`, positions, numbers));
  if (key.model === 'psm') await artifact('tree.svg', treePicture(24, chunkSize));
  const last = milliseconds.length - 1;
  const early = Math.min(1, last);
  return {
    earlyMilliseconds: milliseconds[early] as number,
    lateMilliseconds: milliseconds[last] as number,
    earlyNumbers: numbers[early] as number,
    lateNumbers: numbers[last] as number,
    lateRoots: key.model === 'psm' ? (roots[last] as number) : null,
    unexpectedRoots: key.model === 'psm' ? unexpectedRoots : null,
    distance: (last + 1) / (early + 1),
    tokens,
  } satisfies LatencyResult;
}

/** What a part of the stream needed at most. */
interface Extent {
  numbers: number;
  roots: number;
  unexpectedRoots: number;
}

/** One more token; the state before it stays. */
async function advance(
  model: SequenceTagger,
  state: tf.TensorContainer[],
  input: RandomStream,
): Promise<tf.TensorContainer[]> {
  const token = tf.tensor1d([Math.floor((input.uniform(1)[0] as number) * 256)], 'int32');
  const { logits, state: next } = model.step(token, state);
  await readValues(logits);
  token.dispose();
  return next;
}

function numbersOf(state: tf.TensorContainer): number {
  return tf.tensor_util.getTensorsInContainer(state).reduce((sum, { size }) => sum + size, 0);
}

/** Live roots of a PSM's tree, its only layer; 0 for other models. */
function rootsOf([state]: tf.TensorContainer[]): number {
  const { roots = [] } = state as Partial<PrefixScannableState>;
  return roots.length;
}

/** Ones in the binary number. */
function onesOf(count: number): number {
  return [...count.toString(2)].filter((bit) => bit === '1').length;
}

export const latency = defineExperiment({
  id: 'psm/latency',
  title: 'Time of a token and size of the state, against the position in a stream',
  description:
    'Streams random tokens through an untrained Transformer-PSM, a Transformer with its keys and values, and a DeltaNet, and ' +
    'measures what a token costs and what has to be remembered in eight parts of the stream. Times are those of the machine as it is.',
  paper,
  config: settings,
  presets: {
    quick: { summary: '8,192 tokens; the Transformer 4,096', config: { tokens: 8192 } },
    standard: {
      summary: '100,000 tokens; the Transformer 8,192',
      config: { tokens: 100_000, transformerTokens: 8192 },
    },
    paper: {
      summary: "the paper's 40,000 tokens for all models, size 768 with 6 blocks each",
      config: {
        tokens: 40_000,
        transformerTokens: 40_000,
        size: 768,
        heads: 12,
        layers: 6,
        aggregatorLayers: 6,
        chunkSize: 64,
      },
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run,
  published: [],
  claims: latencyClaims,
  report: {
    metric: 'lateMilliseconds',
    rows: 'model',
    charts: [
      {
        title: 'Milliseconds of a token, against the part of the stream',
        from: 'metrics',
        x: 'step',
        y: 'milliseconds',
        series: 'model',
      },
      {
        title: 'Numbers in the state, against the part of the stream',
        from: 'metrics',
        x: 'step',
        y: 'numbers',
        series: 'model',
      },
    ],
  },
});
