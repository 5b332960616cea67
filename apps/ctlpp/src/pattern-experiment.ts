/**
 * What all experiments of CTL++ do: train on compositions with one pattern of groups, test on another pattern, report every
 * seed on its own. Success of a seed is an accuracy above 0.95 on the test.
 */

import {
  accuracyOf,
  type ClassificationConfig,
  classificationSettings,
  settingsOf,
  trainClassifier,
} from '@fwp/app-ndr/classification';
import { ctlPlusPlus, shuffledBatches } from '@fwp/datasets';
import type { TrialContext, Verdict } from '@fwp/lab';
import { SequenceClassifier } from '@fwp/ndr';
import { z } from 'zod';
import { similarityPicture } from './similarity-record.ts';

/** Settings of the data, besides those of models and training. */
export const patternSettings = {
  ...classificationSettings,
  symbols: z.int().min(2).default(8),
  functions: z.int().min(2).default(16).describe('functions of all groups together'),
  depths: z.tuple([z.int(), z.int()]).default([2, 4]).describe('functions of a composition, least and most'),
  trainExamples: z.int().min(1).default(20_000),
  evaluationExamples: z.int().min(1).default(1000),
  dataSeed: z.int().default(0).describe('of functions and examples: the same for all seeds of models'),
};

const settings = z.object(patternSettings);
export type PatternConfig = z.infer<typeof settings> & ClassificationConfig;

/** Models that the paper compares. */
export const MODELS = ['dataRouterCtlPlusPlus', 'relativeUniversal', 'bidirectionalLstm'] as const;

/** The authors' models and training, of the one-stage variants. */
export const PAPER_SETTINGS = {
  models: [...MODELS],
  functions: 32,
  depths: [2, 6] as [number, number],
  trainExamples: 300_000,
  size: 256,
  hiddenSize: 512,
  heads: 4,
  layers: 8,
  dropout: 0.5,
  batchSize: 512,
  learningRate: 1.5e-4,
  warmupSteps: 500,
  weightDecay: 0,
  steps: 80_000,
  evaluationLayers: 10,
  baselines: {
    size: 128,
    hiddenSize: 256,
    dropout: 0.1,
    attentionDropout: 0.1,
    weightDecay: 0.0025,
    clipNorm: 5,
    steps: 300_000,
  },
  lstm: { size: 256, dropout: 0.5, weightDecay: 0, clipNorm: 5, steps: 80_000 },
};

/** What a trial of any variant measures. */
export interface PatternResult {
  /** Accuracy on the pattern that training doesn't show. */
  readonly outOfDistribution: number;
  /** Accuracy on the pattern of training. */
  readonly iid: number;
  /** Accuracy on functions in any order. */
  readonly anyOrder: number;
  /** 1 if `outOfDistribution` is above 0.95, else 0: its mean over seeds is the proportion of successes. */
  readonly success: number;
  /** 1 if `iid` is above 0.5, else 0: of the seeds that are not, the paper reports none. */
  readonly converged: number;
  readonly [name: string]: number;
}

/** Accuracy from which a seed counts as successful, as in the paper. */
const SUCCESS = 0.95;

/** Accuracy on the pattern of training from which a seed counts at all there. */
const CONVERGED = 0.5;

/**
 * Trains one model on one variant.
 *
 * There is no selection: as the paper does, the last evaluation counts.
 */
export async function trainOnPattern<Key extends { readonly model: string }>(
  context: TrialContext<PatternConfig, Key>,
  pattern: { variant: 'R' | 'A' | 'two-stage'; overlap?: { functions: number; symbols: number } },
): Promise<PatternResult> {
  const { config, seed, artifact } = context;
  const { symbols, functions, depths, trainExamples, evaluationExamples, dataSeed } = config;
  const task = ctlPlusPlus({
    ...pattern,
    symbols,
    functions,
    depths,
    trainExamples,
    evaluationExamples,
    seed: dataSeed,
  });
  const { vocabulary, classes, sets } = task;
  // Nothing may choose an evaluation: there is one, at the end.
  const { batchSize, steps: evaluateEvery } = settingsOf(context.key.model, config);
  const training = shuffledBatches(sets.train, { batchSize, sortedBatches: 16, seed });
  const { model, iid, test, measure } = await trainClassifier(
    { ...context, config: { ...config, evaluateEvery } },
    {
      vocabularySize: vocabulary.size,
      classes: classes.length,
      readOut: 'first',
      batch: (step) => training.batch(step),
      iid: sets.iid,
      validation: sets.iid,
      test: sets.outOfDistribution,
    },
  );
  const outOfDistribution = accuracyOf(test);
  const result = {
    outOfDistribution,
    iid,
    anyOrder: accuracyOf(await measure(sets.anyOrder)),
    success: outOfDistribution > SUCCESS ? 1 : 0,
    converged: iid > CONVERGED ? 1 : 0,
  };
  if (model instanceof SequenceClassifier) await artifact('similarity.svg', await similarityPicture(model, task));
  model.dispose();
  return result;
}

/** Whether all models know the pattern of training. */
export function knowsTraining(
  rows: readonly ({ model: string } & PatternResult)[],
  least: number,
): Verdict | undefined {
  if (rows.length === 0) return undefined;
  return {
    pass: rows.every(({ iid }) => iid >= least),
    observed: rows.map(({ model, iid }) => `${model} ${iid.toFixed(2)}`).join(', '),
  };
}

/** Whether the mean accuracy over models is lower on the other pattern by a margin. */
export function failsOnPattern(
  rows: readonly ({ model: string } & PatternResult)[],
  margin: number,
): Verdict | undefined {
  if (rows.length === 0) return undefined;
  const mean = (of: 'iid' | 'outOfDistribution') => rows.reduce((sum, row) => sum + row[of], 0) / rows.length;
  return {
    pass: mean('outOfDistribution') <= mean('iid') - margin,
    observed: rows
      .map(({ model, outOfDistribution, iid }) => `${model} ${outOfDistribution.toFixed(2)} against ${iid.toFixed(2)}`)
      .join(', '),
  };
}
