/**
 * The learners that are compared, with the wirings of the authors' programs: all are a {@link FewShotModel} with other blocks.
 *
 *     srwm             normalised residual, then feed-forward part      `SrwmBlock` with `Srwm`
 *     staticSrwm       the same, but W is never rewritten ("fake SR")
 *     deltaNet         pre-norm block; features ELU + 1 that add up to 1, the outputs not scaled
 *     linearAttention  the same block with the sum rule and its attention normaliser
 *     lstm             one LSTM, without feed-forward part
 */

import {
  Adam,
  fanInUniform,
  inverseSquareRoot,
  Lstm,
  type RandomStream,
  type SequenceMixer,
  TransformerBlock,
} from '@fwp/core';
import { DeltaNet, LinearAttention } from '@fwp/deltanet';
import { ConvolutionalStem, FewShotModel, SrwmBlock, StaticSrwm } from '@fwp/srwm';
import { z } from 'zod';

/** Names of learners. */
export const LEARNERS = ['srwm', 'staticSrwm', 'deltaNet', 'linearAttention', 'lstm'] as const;

export type LearnerName = (typeof LEARNERS)[number];

/** Settings of models and their optimiser. */
export const learnerSettings = {
  layers: z.int().min(1).default(2).describe('blocks; of an LSTM one'),
  size: z.int().min(2).default(64).describe('size of hidden vectors'),
  heads: z.int().min(1).default(4),
  hiddenFactor: z.number().positive().default(2).describe('hidden units of feed-forward parts, in multiples of size'),
  lstmSize: z.int().min(1).default(128).describe('hidden units of the LSTM'),
  queryScale: z
    .number()
    .min(0)
    .default(0.01)
    .describe('scale of the initial query columns of a self-referential matrix; 1 in the paper, 0.01 in its follow-up'),
  filters: z.int().min(1).default(32).describe('channels of the convolutions that read pictures'),
  normalization: z.enum(['instance', 'batch']).default('instance').describe('of the convolutions'),
  dropout: z.number().min(0).lt(1).default(0),
  visionDropout: z.number().min(0).lt(1).default(0).describe('dropout rate of the convolutions'),
  learningRate: z.number().positive().default(1e-3).describe("Adam's step size, without a warm-up"),
  warmupSteps: z
    .int()
    .min(0)
    .default(0)
    .describe('if not 0: the step size rises for so many steps to 1 / √(size · steps), then falls as 1 / √step'),
};

const settings = z.object(learnerSettings);
export type LearnerConfig = z.infer<typeof settings>;

/** Makes a learner for examples of a shape. */
export function makeLearner(
  name: LearnerName,
  config: LearnerConfig,
  { shape, ways }: { readonly shape: readonly number[]; readonly ways: number },
  random: RandomStream,
): FewShotModel {
  const { size, layers, filters, normalization, visionDropout } = config;
  const stem =
    shape.length === 1
      ? {}
      : { stem: new ConvolutionalStem({ shape, filters, normalization, dropout: visionDropout, random }) };
  const blocks = Array.from({ length: name === 'lstm' ? 1 : layers }, () => makeBlock(name, config, random));
  return new FewShotModel({ shape, ways, size, blocks, random, ...stem });
}

function makeBlock(name: LearnerName, config: LearnerConfig, random: RandomStream): SequenceMixer {
  const { size, heads, hiddenFactor, lstmSize, queryScale, dropout } = config;
  const hiddenSize = Math.round(hiddenFactor * size);
  if (name === 'lstm') return new Lstm({ inputSize: size, hiddenSize: lstmSize, random });
  if (name === 'srwm') return new SrwmBlock({ size, mixer: { heads, queryScale }, hiddenSize, dropout, random });
  if (name === 'staticSrwm') {
    return new SrwmBlock({ size, mixer: new StaticSrwm({ size, heads, random }), hiddenSize, dropout, random });
  }
  const options = {
    ...{ size, heads, random, featureMap: 'eluPlusOne' as const, outputScale: 1, weightInitializer: fanInUniform() },
  };
  const mixer = name === 'deltaNet' ? new DeltaNet(options) : new LinearAttention(options);
  return new TransformerBlock({ size, mixer, feedForward: { hiddenSize, dropout }, dropout, random });
}

/** Adam with the authors' constants. */
export function makeOptimizer(model: FewShotModel, { learningRate, warmupSteps, size }: LearnerConfig): Adam {
  const constants = { betas: [0.9, 0.995], epsilon: 1e-9 } as const;
  if (warmupSteps === 0) return new Adam(model, { learningRate, ...constants });
  const peak = 1 / Math.sqrt(size * warmupSteps);
  return new Adam(model, { learningRate: peak, schedule: inverseSquareRoot(warmupSteps), ...constants });
}
