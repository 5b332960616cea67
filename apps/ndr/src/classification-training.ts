/**
 * Trains a classifier of sentences as the authors do it: AdamW with a constant learning rate (behind a short warm-up), an
 * evaluation on deeper sentences every so many steps. The results are those of the latest evaluation with the best accuracy
 * on `deeperValidation`; there is no early stopping.
 */

import { AdamW, linearWarmup, type RandomStream, softmaxCrossEntropy } from '@fwp/core';
import { type ClassificationBatch, type ClassificationSet, orderedBatches } from '@fwp/datasets';
import type { TrialContext } from '@fwp/lab';
import { COLUMN_LAYERS, type ColumnLayerName, LstmClassifier, SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

/** Models that can be trained: a layer that is repeated, or an LSTM. */
export const CLASSIFIERS = [...COLUMN_LAYERS, 'lstm', 'bidirectionalLstm'] as const;

/** Settings of the models and of their training. */
export const classificationSettings = {
  models: z
    .array(z.enum(CLASSIFIERS))
    .min(1)
    .default(['neuralDataRouter', 'relativeUniversal'])
    .describe('models to compare'),
  size: z.int().min(1).default(64).describe('size of a column'),
  hiddenSize: z.int().min(1).default(128).describe('hidden units of the update'),
  heads: z.int().min(1).default(1),
  layers: z.int().min(1).default(8).describe('how often a layer is applied; 1 for LSTMs'),
  dropout: z.number().min(0).max(0.9).default(0.1).describe('of branches and hidden units'),
  attentionDropout: z.number().min(0).max(0.9).default(0.1).describe('of keys of geometric attention'),
  gateDropout: z.number().min(0).max(0.9).default(0.1).describe('share of columns whose gate stays closed'),
  batchSize: z.int().min(1).default(64),
  learningRate: z.number().positive().default(2e-3),
  warmupSteps: z.int().min(0).default(200),
  weightDecay: z.number().min(0).default(0.01),
  clipNorm: z.number().positive().default(1),
  steps: z.int().min(1).default(2000).describe('training steps of models with a gate'),
  baselineSteps: z.int().min(1).default(1000).describe('training steps of the others'),
  evaluateEvery: z.int().min(1).default(500).describe('steps between evaluations'),
  evaluationBatchSize: z.int().min(1).default(256),
};

const settings = z.object(classificationSettings);
export type ClassificationConfig = z.infer<typeof settings>;

/** A classifier of any kind. */
export type Classifier = SequenceClassifier | LstmClassifier;

/** What is trained on, and what evaluations are made of. */
export interface ClassificationData {
  readonly vocabularySize: number;
  readonly classes: number;
  /** Which column has the answer. */
  readonly readOut: 'first' | 'last';
  /** The training batch of a step. */
  batch(step: number): ClassificationBatch;
  /** Like training; its accuracy is `iid`. */
  readonly iid: ClassificationSet;
  /** Decides which evaluation counts. */
  readonly validation: ClassificationSet;
  /** What is reported. */
  readonly test: ClassificationSet;
}

/** Accuracies of one evaluation, by depth. */
export type Evaluated = ReadonlyMap<number, { readonly right: number; readonly count: number }>;

/** Makes a model of a name. */
export function createClassifier(
  name: (typeof CLASSIFIERS)[number],
  config: ClassificationConfig,
  { vocabularySize, classes, readOut }: Pick<ClassificationData, 'vocabularySize' | 'classes' | 'readOut'>,
  random: RandomStream,
): Classifier {
  const { size, hiddenSize, heads, layers, dropout, attentionDropout, gateDropout } = config;
  const common = { vocabularySize, classes, size, random };
  if (name === 'lstm' || name === 'bidirectionalLstm') {
    return new LstmClassifier({ ...common, dropout, bidirectional: name === 'bidirectionalLstm' });
  }
  const layer = { name: name as ColumnLayerName, hiddenSize, heads, dropout, gateDropout };
  // The authors drop keys of geometric attention only.
  const keys = { attentionDropout: isRouter(name) || name === 'geometric' ? attentionDropout : 0 };
  return new SequenceClassifier({ ...common, layers, readOut, layer: { ...layer, ...keys } });
}

/** Whether a model copies columns by gates, and so has the longer training. */
function isRouter(name: string): boolean {
  return ['neuralDataRouter', 'dataRouterCtlPlusPlus', 'gated', 'gatedPositions'].includes(name);
}

/**
 * Trains a model.
 *
 * @returns the model, which the caller disposes, and the accuracies of the evaluation that counts
 */
export async function trainClassifier<Key extends { readonly model: string }>(
  { config, key, random, steps, log, dryRun }: TrialContext<ClassificationConfig, Key>,
  data: ClassificationData,
): Promise<{ model: Classifier; iid: number; test: Evaluated; validation: Evaluated; bestStep: number }> {
  const model = createClassifier(key.model as (typeof CLASSIFIERS)[number], config, data, random.split('weights'));
  const { learningRate, weightDecay, clipNorm, warmupSteps } = config;
  const optimizer = new AdamW(model, { learningRate, weightDecay, clipNorm, schedule: linearWarmup(warmupSteps) });
  const total = isRouter(key.model) ? config.steps : config.baselineSteps;
  const state = { bestStep: 0, best: -1, iid: 0, test: [] as number[][], validation: [] as number[][] };
  const tokens = config.batchSize;
  for await (const step of steps({ total, module: model, optimizer, state, perStep: { sentences: tokens } })) {
    const batch = data.batch(step - 1);
    const loss = onSentences(batch, (inputs, lengths, targets) =>
      read(optimizer.minimize(() => softmaxCrossEntropy(model.forward(inputs, lengths), targets) as tf.Scalar)),
    );
    if (step % LOG_EVERY === 0) log({ loss });
    if (step % config.evaluateEvery !== 0 && step !== total && !dryRun) continue;
    const validation = evaluate(model, data.validation, config.evaluationBatchSize);
    const accuracy = accuracyOf(validation);
    log({ loss, validationAccuracy: accuracy });
    if (accuracy < state.best) continue;
    state.best = accuracy;
    state.bestStep = step;
    state.iid = accuracyOf(evaluate(model, data.iid, config.evaluationBatchSize));
    state.validation = toRows(validation);
    state.test = toRows(evaluate(model, data.test, config.evaluationBatchSize));
  }
  optimizer.dispose();
  const { iid, bestStep } = state;
  return { model, iid, bestStep, test: fromRows(state.test), validation: fromRows(state.validation) };
}

const LOG_EVERY = 25;

const toRows = (evaluated: Evaluated): number[][] =>
  [...evaluated].map(([depth, { right, count }]) => [depth, right, count]);
const fromRows = (rows: readonly number[][]): Evaluated =>
  new Map(rows.map(([depth, right, count]) => [depth as number, { right: right as number, count: count as number }]));

/** Right answers by depth, in evaluation mode. */
export function evaluate(model: Classifier, set: ClassificationSet, batchSize: number): Evaluated {
  const results = new Map<number, { right: number; count: number }>();
  model.eval();
  for (const batch of orderedBatches(set, { batchSize })) {
    const answers = onSentences(batch, (inputs, lengths) =>
      tf.tidy(() => tf.argMax(model.forward(inputs, lengths), 1).dataSync()),
    );
    for (const [row, depth] of batch.depths.entries()) {
      const result = results.get(depth) ?? { right: 0, count: 0 };
      result.count++;
      if (answers[row] === batch.targets[row]) result.right++;
      results.set(depth, result);
    }
  }
  model.train();
  return new Map([...results].sort(([a], [b]) => a - b));
}

/** Share of right answers, of all depths or of those wanted; NaN if there is none. */
export function accuracyOf(evaluated: Evaluated, wanted: (depth: number) => boolean = () => true): number {
  const chosen = [...evaluated].filter(([depth]) => wanted(depth)).map(([, result]) => result);
  const sum = (of: 'right' | 'count') => chosen.reduce((total, result) => total + result[of], 0);
  return sum('right') / sum('count');
}

/** Calls `use` with a batch as tensors, and frees them. */
export function onSentences<T>(
  { batchSize, length, inputs, inputLengths, targets }: ClassificationBatch,
  use: (inputs: tf.Tensor2D, lengths: tf.Tensor1D | undefined, targets: tf.Tensor1D) => T,
): T {
  const isPadded = inputLengths.some((tokens) => tokens !== length);
  const tensors = {
    inputs: tf.tensor2d(inputs, [batchSize, length], 'int32'),
    targets: tf.tensor1d(targets, 'int32'),
    ...(isPadded ? { lengths: tf.tensor1d(inputLengths, 'int32') } : {}),
  };
  try {
    return use(tensors.inputs, tensors.lengths, tensors.targets);
  } finally {
    tf.dispose({ ...tensors });
  }
}

function read(value: tf.Scalar): number {
  const [number] = value.dataSync();
  value.dispose();
  return number as number;
}
