/**
 * Training of an actor-critic (R2AC of the paper, without convolutions) in environments side by side: act for a few steps,
 * learn from them, act on. Only the gradient differs between trials: real-time recurrent learning reaches back to the
 * beginning of an episode, truncated backpropagation to the beginning of the last few steps, and the memoryless agent
 * forgets before every step.
 */

import { linearDecay, Module, RmsProp } from '@fwp/core';
import type { SeededEnvironment } from '@fwp/datasets/environments';
import { readScalar, type TrialContext } from '@fwp/lab';
import {
  ACTOR_CRITIC_GRADIENTS,
  ActorCritic,
  type ActorCriticGradient,
  ActorCriticLearner,
  beginRollouts,
  type RolloutPosition,
  rollout,
  summarizeOutcomes,
} from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

/** Settings that both environments have. */
export const actorCriticSettings = {
  gradients: z
    .array(z.enum(ACTOR_CRITIC_GRADIENTS))
    .min(1)
    .default([...ACTOR_CRITIC_GRADIENTS]),
  unroll: z.int().min(1).default(5).describe('steps between updates, M'),
  batchSize: z.int().min(1).default(32).describe('environments side by side'),
  hiddenSize: z.int().min(1).default(32).describe('units of the e-LSTM'),
  forgetBias: z.number().default(5).describe('added to the initial bias of the forget gate'),
  updates: z.int().min(1).default(4000).describe('updates at most'),
  learningRate: z.number().positive().default(0.01).describe("RMSProp's step size, which goes down to 0 linearly"),
  alpha: z.number().min(0).max(0.9999).default(0.99).describe("RMSProp's smoothing"),
  epsilon: z.number().positive().default(1e-3).describe("RMSProp's ε, outside of the root"),
  clipNorm: z.number().positive().default(40).describe('largest norm of all gradients together'),
  discount: z.number().min(0).max(1).default(0.99),
  baselineCost: z.number().min(0).default(0.5).describe("what the critic's loss counts"),
  entropyCost: z.number().min(0).default(0.01).describe('what the entropy of the policy counts'),
  window: z.int().min(1).default(400).describe('episodes over which success is taken'),
  solvedRate: z.number().min(0).max(1).default(0.99).describe('success at which training ends'),
};

const settings = z.object(actorCriticSettings);
export type ActorCriticConfig = z.infer<typeof settings>;

/** What a trial measures. */
export interface ActorCriticResult {
  /** Share of the last episodes that were solved. */
  readonly success: number;
  /** Mean return of the last episodes. */
  readonly meanReturn: number;
  readonly updates: number;
  /** Environment steps, of all environments together. */
  readonly environmentSteps: number;
  readonly [name: string]: number;
}

/** The network, and the learner's state for checkpoints. */
class Agent extends Module {
  readonly network: ActorCritic;
  readonly learner: ActorCriticLearner;

  constructor(network: ActorCritic, learner: ActorCriticLearner) {
    super();
    this.network = this.addModule('network', network);
    this.learner = learner;
    this.addModule('learner', learner.learner);
  }
}

/** An episode's outcome: whether it was solved, and its return. */
type Outcome = readonly [solved: number, totalReturn: number];

/**
 * Trains one agent.
 *
 * @param environment seeded by the trial
 * @param picture draws an episode of the trained agent, if it is given
 */
export async function trainActorCritic(
  { config, random, steps, log }: Pick<TrialContext<ActorCriticConfig, unknown>, 'config' | 'random' | 'steps' | 'log'>,
  gradient: ActorCriticGradient,
  environment: SeededEnvironment,
  picture?: (network: ActorCritic, memoryless: boolean) => Promise<void>,
): Promise<ActorCriticResult> {
  const { batchSize, unroll, window } = config;
  const network = new ActorCritic({
    observationSize: environment.observationShape.reduce((size, extent) => size * extent, 1),
    actionCount: environment.actionCount,
    hiddenSize: config.hiddenSize,
    forgetBias: config.forgetBias,
    random: random.split('weights'),
  });
  const learner = new ActorCriticLearner(network, {
    batchSize,
    gradient,
    discount: config.discount,
    baselineCost: config.baselineCost,
    entropyCost: config.entropyCost,
  });
  const agent = new Agent(network, learner);
  const optimizer = new RmsProp(network, {
    learningRate: config.learningRate,
    alpha: config.alpha,
    epsilon: config.epsilon,
    clipNorm: config.clipNorm,
    schedule: linearDecay(config.updates),
  });
  const actions = random.split('actions');
  const begin = await beginRollouts(environment);
  const state = {
    update: 0,
    // What the environments need to go on from here, and what is observed there.
    snapshot: environment.snapshot(),
    inputs: [...begin.inputs],
    begins: [...begin.begins],
    recent: [] as Outcome[],
  };
  const perStep = { 'environment steps': batchSize * unroll };
  let position: RolloutPosition | undefined;
  for await (const update of steps({
    total: config.updates,
    module: agent,
    optimizer,
    random: { actions },
    state: state as never,
    perStep,
  })) {
    if (position === undefined) {
      environment.restore(state.snapshot);
      position = { inputs: Float32Array.from(state.inputs), begins: Uint8Array.from(state.begins) };
    }
    const record = await rollout(network, environment, position, {
      state: learner.learner.state,
      steps: unroll,
      random: actions,
      memoryless: gradient === 'memoryless',
    });
    const result = learner.learn(record);
    optimizer.step(result.gradients);
    const loss = await readScalar(result.loss as tf.Scalar, update % LOG_EVERY === 0);
    tf.dispose(result as unknown as tf.TensorContainer);

    position = record.next;
    state.update = update;
    state.snapshot = environment.snapshot();
    state.inputs = [...position.inputs];
    state.begins = [...position.begins];
    state.recent = [...state.recent, ...record.outcomes].slice(-window);
    const { success, meanReturn } = summarizeOutcomes(state.recent);
    if (loss !== undefined) log({ loss, success, meanReturn });
    if (state.recent.length === window && success >= config.solvedRate) break;
  }
  await picture?.(network, gradient === 'memoryless');
  optimizer.dispose();
  agent.dispose();
  const { success, meanReturn } = summarizeOutcomes(state.recent);
  return { success, meanReturn, updates: state.update, environmentSteps: state.update * batchSize * unroll };
}

const LOG_EVERY = 50;
