/**
 * Delayed recall: four cues, many tokens that say nothing, a question. Sequences are read in pieces of M steps, the state
 * carried on. Both ways to learn see the same pieces in the same order; only what the gradient of the last piece knows of the
 * pieces before is different.
 */

import { Adam } from '@fwp/core';
import { delayedRecall as delayedRecallTask } from '@fwp/datasets';
import { defineExperiment, readScalar, type TrialContext, type Verdict } from '@fwp/lab';
import { ElstmRtrl, ElstmTbptt } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { paper } from './paper.ts';
import { accuracies, pieceOf, TokenModel, tokenLoss, tokenTensors } from './token-model.ts';

const GRADIENTS = ['rtrl', 'bptt', 'tbptt'] as const;

const settings = z.object({
  gradients: z.array(z.enum(GRADIENTS)).min(1).default(['rtrl', 'tbptt']),
  delays: z.array(z.int().min(1)).min(1).default([100]).describe('tokens between cue and question'),
  truncation: z.int().min(1).default(10).describe('steps of a piece, M; bptt takes the whole sequence'),
  hiddenSize: z.int().min(1).default(64).describe('units of the e-LSTM'),
  forgetBias: z
    .number()
    .default(4)
    .describe('added to the initial bias of the forget gate; with 0 a unit forgets half of its state at every step'),
  batchSize: z.int().min(1).default(64).describe('sequences per update'),
  learningRate: z.number().positive().default(3e-3).describe("Adam's step size"),
  clipNorm: z.number().positive().default(1).describe('largest norm of all gradients together'),
  updates: z.int().min(1).default(1000).describe('updates at most'),
  evaluateEvery: z.int().min(1).default(50).describe('updates between evaluations'),
  evaluationSequences: z.int().min(1).default(400).describe('new sequences per evaluation'),
});
type Config = z.infer<typeof settings>;

interface Key {
  readonly gradient: string;
  readonly delay: number;
  readonly [name: string]: string | number;
}

async function train({ config, key, seed, random, steps, log }: TrialContext<Config, Key>) {
  const { batchSize, evaluationSequences } = config;
  const task = delayedRecallTask({ delay: key.delay, seed });
  const { vocabularySize, targetCount } = task;
  const length = task.lengths.train;
  const model = new TokenModel({
    ...config,
    layer: 'elstm',
    vocabularySize,
    targetCount,
    random: random.split('weights'),
  });
  const layer = model.layer as ConstructorParameters<typeof ElstmRtrl>[0]['layer'];
  const learner = new (key.gradient === 'rtrl' ? ElstmRtrl : ElstmTbptt)({ layer, model, batchSize });
  const piece = key.gradient === 'bptt' ? length : config.truncation;
  const optimizer = new Adam(model, {
    learningRate: config.learningRate,
    betas: [0.9, 0.995],
    clipNorm: config.clipNorm,
  });
  // The state begins anew with every batch, so it needs no checkpoint.
  const state = { accuracy: 0, update: 0 };
  for await (const update of steps({ total: config.updates, module: model, optimizer, state })) {
    const tensors = tokenTensors(task.batch(update, batchSize), vocabularySize);
    learner.reset();
    let lastLoss: tf.Scalar | undefined;
    for (let begin = 0; begin < length; begin += piece) {
      const steps_ = Math.min(piece, length - begin);
      const isLast = begin + steps_ === length;
      lastLoss = tf.tidy(() => {
        const part = pieceOf(tensors, begin, steps_);
        // Only the question counts.
        const result = learner.segment(
          part.inputs,
          isLast ? (output) => tokenLoss(model.head.forward(output), part, batchSize) : undefined,
        );
        if (result.loss !== undefined) optimizer.step(result.gradients);
        return result.loss;
      });
    }
    tf.dispose(tensors);
    state.update = update;
    const isEvaluated = update % config.evaluateEvery === 0 || update === config.updates;
    const loss = await readScalar(lastLoss as tf.Scalar, isEvaluated);
    if (loss === undefined) continue;
    const batch = task.batch(0, evaluationSequences, 'validation');
    const evaluated = tokenTensors(batch, vocabularySize);
    state.accuracy = accuracies(await model.predict(evaluated), batch, () => false).sequences;
    tf.dispose(evaluated);
    log({ loss, accuracy: state.accuracy });
    if (state.accuracy === 1) break;
  }
  optimizer.dispose();
  learner.dispose();
  model.dispose();
  return { accuracy: state.accuracy, updates: state.update };
}

interface RecallRow {
  readonly gradient: string;
  readonly delay: number;
  readonly accuracy: number;
}

function accuracyWithin(
  rows: readonly RecallRow[],
  gradient: string,
  { least = 0, most = 1 }: { least?: number; most?: number },
): Verdict | undefined {
  const concerned = rows.filter((row) => row.gradient === gradient);
  if (concerned.length === 0) return undefined;
  return {
    pass: concerned.every(({ accuracy }) => accuracy >= least && accuracy <= most),
    observed: concerned.map(({ accuracy, delay }) => `${(100 * accuracy).toFixed(1)} of 100 after ${delay}`).join(', '),
  };
}

export const delayedRecall = defineExperiment({
  id: 'rtrl/delayed-recall',
  title: 'Delayed recall: what truncation cannot learn',
  description:
    'A cue, a hundred tokens that say nothing, and the question which cue it was. Sequences are read ten tokens at a time. ' +
    'The sensitivities of real-time recurrent learning carry the cue’s part of the gradient through to the question; ' +
    'truncated backpropagation through time cuts it off.',
  paper,
  config: settings,
  presets: {
    quick: { summary: 'delay 100 in pieces of 10, at most 1000 updates' },
    standard: {
      summary: 'delays of 50, 100 and 200, full backpropagation besides',
      config: { gradients: [...GRADIENTS], delays: [50, 100, 200] },
    },
    paper: {
      summary: 'delay 1000, with 2048 units as in the paper’s diagnostic task',
      config: { gradients: [...GRADIENTS], delays: [1000], hiddenSize: 2048, forgetBias: 7, updates: 20_000 },
    },
  },
  trials: ({ gradients, delays }): readonly Key[] =>
    delays.flatMap((delay) => gradients.map((gradient) => ({ gradient, delay }))),
  run: train,
  claims: [
    {
      text: 'Real-time recurrent learning recalls every cue, though sequences come in short pieces.',
      // Of 400 sequences; training ends at the first evaluation without an error.
      holds: (rows) => accuracyWithin(rows, 'rtrl', { least: 0.995 }),
    },
    {
      text: 'Truncated backpropagation stays near chance, which is 25 of 100.',
      // After as many updates it has begun to read out what the untrained dynamics happen to retain.
      holds: (rows) =>
        accuracyWithin(
          rows.filter(({ delay }) => delay >= 100),
          'tbptt',
          { most: 0.45 },
        ),
    },
    {
      text: 'Full backpropagation learns it too, from the same gradient.',
      holds: (rows) => accuracyWithin(rows, 'bptt', { least: 0.995 }),
    },
  ],
  report: {
    metric: 'accuracy',
    rows: 'gradient',
    columns: 'delay',
    charts: [
      {
        title: 'Cues recalled',
        from: 'metrics',
        x: 'step',
        y: 'accuracy',
        series: 'gradient',
        facet: 'delay',
        rule: { y: 0.25, label: 'chance' },
      },
    ],
  },
});
