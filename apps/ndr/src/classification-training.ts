/**
 * Trains a classifier of sentences as the authors do it: AdamW with a constant learning rate (behind a short warm-up), an
 * evaluation on deeper sentences every so many steps. The results on the test are those of the latest evaluation with the best
 * accuracy on `deeperValidation`, the accuracy on sentences like those of training is that at the end. There is no early
 * stopping.
 */

import { AdamW, linearWarmup, type RandomStream, softmaxCrossEntropy } from '@fwp/core';
import { type ClassificationBatch, type ClassificationSet, orderedBatches } from '@fwp/datasets';
import { readScalar, readValues, type TrialContext } from '@fwp/lab';
import { COLUMN_LAYERS, type ColumnLayerName, LstmClassifier, SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

/** Models that can be trained: a layer that is repeated, or an LSTM. */
export const CLASSIFIERS = [...COLUMN_LAYERS, 'lstm', 'bidirectionalLstm'] as const;

/** Settings that some models may have otherwise. */
const modelSettings = {
  size: z.int().min(1),
  hiddenSize: z.int().min(1),
  heads: z.int().min(1),
  layers: z.int().min(1),
  dropout: z.number().min(0).max(0.9),
  attentionDropout: z.number().min(0).max(0.9),
  batchSize: z.int().min(1),
  learningRate: z.number().positive(),
  weightDecay: z.number().min(0),
  clipNorm: z.number().positive(),
  steps: z.int().min(1),
};

const someSettings = z.object(modelSettings).partial().default({});

/** Settings of the models and of their training. */
export const classificationSettings = {
  models: z
    .array(z.enum(CLASSIFIERS))
    .min(1)
    .default(['neuralDataRouter', 'relativeUniversal'])
    .describe('models to compare'),
  size: modelSettings.size.default(64).describe('size of a column'),
  hiddenSize: modelSettings.hiddenSize.default(128).describe('hidden units of the update'),
  heads: modelSettings.heads.default(1),
  layers: modelSettings.layers.default(8).describe('how often a layer is applied; 1 for LSTMs'),
  evaluationLayers: z.int().min(1).optional().describe('the same in evaluations of models with a gate'),
  dropout: modelSettings.dropout.default(0.1).describe('of branches and hidden units'),
  attentionDropout: modelSettings.attentionDropout.default(0.1).describe('of keys of geometric attention'),
  gateDropout: z.number().min(0).max(0.9).default(0.1).describe('share of columns whose gate stays closed'),
  batchSize: modelSettings.batchSize.default(64),
  learningRate: modelSettings.learningRate.default(2e-3),
  warmupSteps: z.int().min(0).default(200),
  weightDecay: modelSettings.weightDecay.default(0.01),
  clipNorm: modelSettings.clipNorm.default(1),
  steps: modelSettings.steps.default(2000).describe('training steps'),
  evaluateEvery: z.int().min(1).default(500).describe('steps between evaluations'),
  evaluationBatchSize: z.int().min(1).default(256),
  baselines: someSettings.describe(
    'what is different for models without a gate; their weights of attention have no dropout but this',
  ),
  gated: someSettings.describe(
    'what is different for models with a gate and softmax attention; the same holds for dropout',
  ),
  lstm: z
    .object({ ...modelSettings, stateSize: z.int().min(1).describe('of each direction') })
    .partial()
    .default({})
    .describe('what is different for LSTMs, besides baselines'),
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
  /** Like training; its accuracy at the end is `iid`. */
  readonly iid: ClassificationSet;
  /** Decides which evaluation counts. */
  readonly validation: ClassificationSet;
  /** What is reported. */
  readonly test: ClassificationSet;
}

/** Accuracies of one evaluation, by depth. */
export type Evaluated = ReadonlyMap<number, { readonly right: number; readonly count: number }>;

/** What is left of a training: the model as it is at its end, and what the evaluation that counts has found. */
export interface TrainedClassifier {
  readonly model: Classifier;
  /** Accuracy at the end. */
  readonly iid: number;
  readonly validation: Evaluated;
  readonly test: Evaluated;
  /** Step of that evaluation. */
  readonly bestStep: number;
  /** Evaluates the model on another set. */
  measure(set: ClassificationSet): Promise<Evaluated>;
}

/** The settings of one of the models. */
export function settingsOf<Config extends ClassificationConfig>(name: string, config: Config): Config {
  const lstm = isLstm(name) ? config.lstm : {};
  const own = isGated(name) ? (isGeometric(name) ? {} : config.gated) : { ...config.baselines, ...lstm };
  const attentionDropout = own.attentionDropout ?? (isGeometric(name) ? config.attentionDropout : 0);
  return { ...config, ...own, attentionDropout };
}

/** Makes a model of a name; the settings are those of this model. */
export function createClassifier(
  name: (typeof CLASSIFIERS)[number],
  config: ClassificationConfig,
  { vocabularySize, classes, readOut }: Pick<ClassificationData, 'vocabularySize' | 'classes' | 'readOut'>,
  random: RandomStream,
): Classifier {
  const { size, hiddenSize, heads, layers, dropout, attentionDropout, gateDropout } = config;
  const common = { vocabularySize, classes, size, random };
  if (isLstm(name)) {
    const { stateSize } = config.lstm;
    return new LstmClassifier({ ...common, hiddenSize: stateSize, dropout, bidirectional: name !== 'lstm' });
  }
  const layer = { name: name as ColumnLayerName, hiddenSize, heads, dropout, attentionDropout, gateDropout };
  return new SequenceClassifier({ ...common, layers, readOut, layer });
}

const isLstm = (name: string): boolean => name === 'lstm' || name === 'bidirectionalLstm';

/** Whether a model copies columns by gates. */
const isGated = (name: string): boolean =>
  ['neuralDataRouter', 'dataRouterCtlPlusPlus', 'gated', 'gatedPositions'].includes(name);

const isGeometric = (name: string): boolean =>
  ['neuralDataRouter', 'dataRouterCtlPlusPlus', 'geometric'].includes(name);

/**
 * Trains a model.
 *
 * @returns the model, which the caller disposes, and the accuracies of the evaluation that counts
 */
export async function trainClassifier<Key extends { readonly model: string }>(
  { config: all, key, random, steps, log, dryRun }: TrialContext<ClassificationConfig, Key>,
  data: ClassificationData,
): Promise<TrainedClassifier> {
  const config = settingsOf(key.model, all);
  const model = createClassifier(key.model as (typeof CLASSIFIERS)[number], config, data, random.split('weights'));
  const { learningRate, weightDecay, clipNorm, warmupSteps, steps: total } = config;
  const optimizer = new AdamW(model, { learningRate, weightDecay, clipNorm, schedule: linearWarmup(warmupSteps) });
  const measure = async (set: ClassificationSet): Promise<Evaluated> => {
    const { evaluationLayers = config.layers } = isGated(key.model) ? config : {};
    if (model instanceof SequenceClassifier) model.layers = evaluationLayers;
    const evaluated = await evaluate(model, set, config.evaluationBatchSize);
    if (model instanceof SequenceClassifier) model.layers = config.layers;
    return evaluated;
  };
  const state = { bestStep: 0, best: -1, iid: 0, test: [] as number[][], validation: [] as number[][] };
  const sentences = config.batchSize;
  for await (const step of steps({ total, module: model, optimizer, state, perStep: { sentences } })) {
    const batch = data.batch(step - 1);
    const value = onSentences(batch, (inputs, lengths, targets) =>
      optimizer.minimize(() => softmaxCrossEntropy(model.forward(inputs, lengths), targets) as tf.Scalar),
    );
    const isEvaluated = step % config.evaluateEvery === 0 || step === total || dryRun;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    if (loss === undefined) continue;
    if (step % LOG_EVERY === 0) log({ loss });
    if (!isEvaluated) continue;
    const validation = await measure(data.validation);
    const accuracy = accuracyOf(validation);
    log({ loss, validationAccuracy: accuracy });
    if (step === total || dryRun) state.iid = accuracyOf(await measure(data.iid));
    if (accuracy < state.best) continue;
    state.best = accuracy;
    state.bestStep = step;
    state.validation = toRows(validation);
    state.test = toRows(await measure(data.test));
  }
  optimizer.dispose();
  const { iid, bestStep } = state;
  return { model, iid, bestStep, measure, test: fromRows(state.test), validation: fromRows(state.validation) };
}

const LOG_EVERY = 25;

const toRows = (evaluated: Evaluated): number[][] =>
  [...evaluated].map(([depth, { right, count }]) => [depth, right, count]);
const fromRows = (rows: readonly number[][]): Evaluated =>
  new Map(rows.map(([depth, right, count]) => [depth as number, { right: right as number, count: count as number }]));

/** Right answers by depth, in evaluation mode. */
export async function evaluate(model: Classifier, set: ClassificationSet, batchSize: number): Promise<Evaluated> {
  const results = new Map<number, { right: number; count: number }>();
  model.eval();
  for (const batch of orderedBatches(set, { batchSize })) {
    const answers = await onSentences(batch, (inputs, lengths) =>
      readValues<'int32'>(tf.tidy(() => tf.argMax(model.forward(inputs, lengths), 1))),
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
