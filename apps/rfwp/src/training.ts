/**
 * Trains a tagger on an algorithmic task with Adam, and measures the test accuracy at the best validation, as the
 * authors do. A sequence is right if all its labels are; of the labels, those count that are not blank.
 */

import {
  Adam,
  constant,
  cosineDecay,
  fanInUniform,
  Lstm,
  type RandomStream,
  type SequenceMixer,
  TransformerBlock,
} from '@fwp/core';
import { batches, type SymbolTask, trimPadding } from '@fwp/datasets';
import { readScalar, type TrialContext } from '@fwp/lab';
import { createMixer, type MixerName, type MixerSettings, SequenceTagger, scoreTagging, taggingLoss } from '@fwp/rfwp';
import { z } from 'zod';

/** Models with a delta rule. */
export const DELTA_MODELS = [
  'deltaNet',
  'deltaRnn',
  'recurrentDeltaNet',
  'deltaLstm',
  'deltaMlp',
  'deltaDeltaNet',
] as const;

/** Models that are compared. */
export const MODELS = ['lstm', 'linearTransformer', ...DELTA_MODELS] as const;

/** Name of a model. */
export type ModelName = (typeof MODELS)[number];

/** Settings that both experiments have. */
export const trainingSettings = {
  models: z
    .array(z.enum(MODELS))
    .min(1)
    .default(['lstm', 'linearTransformer', 'deltaNet', 'deltaRnn', 'recurrentDeltaNet'])
    .describe('models to compare'),
  layers: z.int().min(1).default(2).describe('blocks; of the LSTM: layers'),
  size: z.int().min(1).default(64).describe('size of embeddings and hidden vectors'),
  lstmSize: z.int().min(1).default(64).describe('hidden units of each layer of the LSTM'),
  heads: z.int().min(1).default(8),
  dropout: z.number().min(0).lt(1).default(0),
  trainSequences: z.int().min(1).default(2000).describe('sequences of the training set'),
  batchSize: z.int().min(1).default(64),
  steps: z.int().min(1).default(500).describe('training steps'),
  learningRate: z.number().positive().default(1e-3).describe("Adam's step size; betas are 0.9 and 0.995"),
  schedule: z
    .enum(['constant', 'cosine'])
    .default('constant')
    .describe("of the step size: constant as the authors' or along half a cosine to zero"),
  evaluateEvery: z.int().min(1).default(100).describe('steps between validations'),
  validationSequences: z.int().min(1).default(200),
  testSequences: z.int().min(1).default(300),
};

/** The authors' models and training, of both tasks: the steps are 200 epochs. */
export const PAPER_SETTINGS = {
  layers: 4,
  size: 256,
  lstmSize: 512,
  heads: 16,
  dropout: 0.1,
  trainSequences: 10_000,
  steps: 31_200,
  learningRate: 3e-4,
  validationSequences: 1000,
  testSequences: 1000,
};

const schema = z.object(trainingSettings);
/** Configuration that both experiments have. */
export type TrainingConfig = z.infer<typeof schema>;

/** Measurements of a trial. */
export type TrainingResult = {
  /** Fraction of test sequences whose labels are all right. */
  readonly sequenceAccuracy: number;
  /** Fraction of test labels that are right, of those that are not blank. */
  readonly labelAccuracy: number;
  readonly parameters: number;
};

/**
 * One trial.
 *
 * @param context of the trial
 * @param task its sequences
 * @param model its model
 * @param blank the label that says nothing, or none
 */
export async function train<Key>(
  { config, random, steps, log }: TrialContext<TrainingConfig, Key>,
  task: SymbolTask,
  name: ModelName,
  blank: number | undefined,
): Promise<TrainingResult> {
  const { batchSize } = config;
  const model = makeModel(name, config, task, random.split('weights'));
  const optimizer = new Adam(model, {
    learningRate: config.learningRate,
    schedule: config.schedule === 'cosine' ? cosineDecay(config.steps) : constant(),
    betas: [0.9, 0.995],
    epsilon: 1e-9,
  });
  const trainBatches = Math.max(1, Math.floor(config.trainSequences / batchSize));
  const state = { validation: -1, sequenceAccuracy: 0, labelAccuracy: 0 };
  for await (const step of steps({ total: config.steps, module: model, optimizer, state })) {
    const batch = trimPadding(task.batch((step - 1) % trainBatches, batchSize));
    model.train();
    const value = optimizer.minimize(() => taggingLoss(model, batch));
    const isEvaluated = step % config.evaluateEvery === 0 || step === config.steps;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    if (loss === undefined) continue;
    if (isEvaluated) {
      model.eval();
      const validation = await measure(model, task, 'validation', config.validationSequences, blank);
      log({ loss, ...validation });
      // Where no sequence is right yet, single labels tell which model is best.
      const score = validation.sequenceAccuracy + 1e-3 * validation.labelAccuracy;
      if (score > state.validation) {
        state.validation = score;
        Object.assign(state, await measure(model, task, 'test', config.testSequences, blank));
      }
    } else {
      log({ loss });
    }
  }
  const { parameterCount: parameters } = model;
  optimizer.dispose();
  model.dispose();
  return { sequenceAccuracy: state.sequenceAccuracy, labelAccuracy: state.labelAccuracy, parameters };
}

const LOG_EVERY = 10;
const EVALUATION_BATCH = 50;

async function measure(
  model: SequenceTagger,
  task: SymbolTask,
  split: 'validation' | 'test',
  count: number,
  blank: number | undefined,
): Promise<{ sequenceAccuracy: number; labelAccuracy: number }> {
  const end = Math.ceil(count / EVALUATION_BATCH);
  const { sequences, rightSequences, labels, rightLabels } = await scoreTagging(
    model,
    Array.from(batches(task, { batchSize: EVALUATION_BATCH, split, end }), trimPadding),
    { blank },
  );
  return { sequenceAccuracy: rightSequences / sequences, labelAccuracy: rightLabels / labels };
}

/**
 * A tagger of Transformer blocks around a mixer, pre-norm and with 4 size hidden units; no positions, no normalisation at the
 * end; or an LSTM. The Linear Transformer has neither normalised features nor a normaliser, as in the authors' program.
 */
export function makeModel(
  name: ModelName,
  {
    layers,
    size,
    lstmSize,
    heads,
    dropout,
  }: Pick<TrainingConfig, 'layers' | 'size' | 'lstmSize' | 'heads' | 'dropout'>,
  { vocabularySize, targetCount }: Pick<SymbolTask, 'vocabularySize' | 'targetCount'>,
  random: RandomStream,
): SequenceTagger {
  const common = { size, heads, random, weightInitializer: fanInUniform() };
  const mixers: Readonly<Record<Exclude<ModelName, 'lstm'>, readonly [MixerName, object]>> = {
    linearTransformer: ['linearAttention', { normalizer: 'none', outputScale: 1 }],
    deltaNet: ['deltaNet', { featureMap: 'eluPlusOne', outputScale: 1 }],
    deltaRnn: ['deltaRnn', {}],
    recurrentDeltaNet: ['recurrentDeltaNet', {}],
    deltaLstm: ['deltaLstm', {}],
    deltaMlp: ['deltaMlp', {}],
    deltaDeltaNet: ['deltaDeltaNet', {}],
  };
  const block = (): SequenceMixer => {
    const [mixer, options] = mixers[name as Exclude<ModelName, 'lstm'>];
    const layer = createMixer(mixer, { ...common, ...options } as MixerSettings[typeof mixer]);
    return new TransformerBlock({ size, mixer: layer, feedForward: { dropout }, dropout, random });
  };
  const blocks =
    name === 'lstm'
      ? [new Lstm({ inputSize: size, hiddenSize: lstmSize, layers, dropout, random })]
      : Array.from({ length: layers }, block);
  return new SequenceTagger({ vocabularySize, targetCount, size, blocks, random });
}
