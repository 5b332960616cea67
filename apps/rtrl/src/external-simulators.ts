/**
 * The settings of the published code for DeepMind Lab, ProcGen and Atari, for simulators that somebody connects by
 * `simulatorEnvironment` of `@fwp/datasets/environments`. They cannot be run here, and no result of ours stands behind them: the
 * simulators are native programs, and the runs have 10⁸ steps and more, with a convolutional network in front of the e-LSTM.
 */

import type { ActorCriticConfig } from './actor-critic-training.ts';

/** One family of simulators. */
export interface SimulatorSettings {
  /** Extents of an observation: rows, columns, channels. */
  readonly observationShape: readonly number[];
  readonly actionCount: number;
  /** Frames for which an action is repeated. */
  readonly actionRepeat: number;
  /** Channels of the blocks of the convolutional network (3 × 3, pooling, two residual blocks each), then a layer of 256. */
  readonly convolutionChannels: readonly number[];
  /** Steps of the environments, all together. */
  readonly environmentSteps: number;
  /** The actor-critic. */
  readonly agent: Pick<
    ActorCriticConfig,
    | 'unroll'
    | 'batchSize'
    | 'hiddenSize'
    | 'learningRate'
    | 'alpha'
    | 'epsilon'
    | 'clipNorm'
    | 'entropyCost'
    | 'baselineCost'
  >;
}

const AGENT = {
  batchSize: 32,
  learningRate: 6e-4,
  alpha: 0.99,
  epsilon: 0.01,
  clipNorm: 40,
  entropyCost: 0.01,
  baselineCost: 0.5,
};

/** By name of the family. */
export const externalSimulators: Readonly<Record<'dmlab' | 'procgen' | 'atari', SimulatorSettings>> = {
  dmlab: {
    observationShape: [72, 96, 3],
    actionCount: 9,
    actionRepeat: 4,
    convolutionChannels: [16, 32, 32],
    environmentSteps: 100_000_000,
    agent: { ...AGENT, unroll: 100, hiddenSize: 512 },
  },
  procgen: {
    observationShape: [64, 64, 3],
    actionCount: 15,
    actionRepeat: 1,
    convolutionChannels: [16, 32, 32],
    environmentSteps: 200_000_000,
    agent: { ...AGENT, unroll: 50, hiddenSize: 256 },
  },
  atari: {
    observationShape: [84, 84, 4],
    actionCount: 6,
    actionRepeat: 4,
    convolutionChannels: [16, 32, 32],
    environmentSteps: 200_000_000,
    agent: { ...AGENT, unroll: 50, hiddenSize: 256 },
  },
};
