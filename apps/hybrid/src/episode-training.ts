/**
 * Training of an agent with a memory by whole episodes: they begin side by side, are played to their end, and are learned from
 * all at once (`actionValueLoss`), the gradient going back to the beginning. The policy begins warm, trying everything, and ends
 * cold.
 */

import { AdamW, linearDecay, type RandomStream } from '@fwp/core';
import type { SeededEnvironment } from '@fwp/datasets/environments';
import { readScalar, type TrialContext } from '@fwp/lab';
import { beginRollouts, type Rollout, rollout, summarizeOutcomes } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { actionValueLoss } from './action-value-loss.ts';
import type { MemoryAgent } from './memory-agent.ts';

/** Settings of the training. */
export const episodeSettings = {
  batchSize: z.int().min(1).default(128).describe('episodes side by side'),
  updates: z.int().min(1).default(400).describe('batches of episodes'),
  passes: z.int().min(1).default(3).describe('steps of the optimiser on each batch of episodes'),
  learningRate: z.number().positive().default(3e-3).describe("AdamW's step size, which goes down to 0 linearly"),
  weightDecay: z.number().min(0).default(0),
  clipNorm: z.number().positive().default(1).describe('largest norm of all gradients'),
  // Rewards of the distant future are noise to the steps that do not decide about them: the colour reaches the last steps
  // through the memory, not through returns.
  discount: z.number().min(0).max(1).default(0.9),
  lambda: z.number().min(0).max(1).default(0.8).describe('λ of the returns: 1 waits for all rewards'),
  temperature: z.number().positive().default(0.1).describe('τ of the policy at first'),
  finalTemperature: z.number().positive().default(0.01).describe('τ at the end of the training, and in the test'),
  testEpisodes: z.int().min(1).default(512),
};

const settings = z.object(episodeSettings);
type EpisodeConfig = z.infer<typeof settings>;

/** Updates whose episodes are logged together. */
const LOG_EVERY = 10;

/** How episodes ended. */
export interface Outcomes {
  /** Share of the episodes that were solved. */
  readonly success: number;
  readonly meanReturn: number;
}

/**
 * Trains an agent.
 *
 * @param agent learns
 * @param environment whose episodes take at most `episodeSteps`
 * @param episodeSteps steps until the last of the episodes side by side has ended
 */
export async function trainOnEpisodes(
  { config, random, steps, log }: Pick<TrialContext<EpisodeConfig, unknown>, 'config' | 'random' | 'steps' | 'log'>,
  agent: MemoryAgent,
  environment: SeededEnvironment,
  episodeSteps: number,
): Promise<void> {
  const { updates, passes, learningRate, weightDecay, clipNorm, temperature, finalTemperature } = config;
  const schedule = linearDecay(updates * passes);
  const optimizer = new AdamW(agent, { learningRate, weightDecay, clipNorm, schedule });
  const actions = random.split('actions');
  const state = { recent: [] as (readonly [number, number])[] };
  const perStep = { episodes: environment.batchSize };
  for await (const update of steps({
    total: updates,
    module: agent,
    optimizer,
    random: { actions },
    state: state as never,
    perStep,
  })) {
    agent.temperature = temperature * (finalTemperature / temperature) ** ((update - 1) / updates);
    const first = (update - 1) * environment.batchSize;
    const record = await playEpisodes(agent, environment, { first, steps: episodeSteps, random: actions });
    for (let pass = 1; pass < passes; pass++) optimizer.minimize(() => episodeLoss(agent, record, config)).dispose();
    const value = optimizer.minimize(() => episodeLoss(agent, record, config));
    state.recent.push(...record.outcomes);
    const loss = await readScalar(value, update % LOG_EVERY === 0 || update === updates);
    if (loss === undefined) continue;
    log({ loss, ...summarizeOutcomes(state.recent) });
    state.recent = [];
  }
  agent.temperature = finalTemperature;
  optimizer.dispose();
}

/** How an agent that draws its actions does in episodes that it has not been trained on. */
export async function testOnEpisodes(
  agent: MemoryAgent,
  environment: SeededEnvironment,
  options: { readonly episodes: number; readonly steps: number; readonly random: RandomStream },
): Promise<Outcomes> {
  const outcomes: (readonly [number, number])[] = [];
  for (let first = 0; first < options.episodes; first += environment.batchSize) {
    const { steps, random } = options;
    outcomes.push(...(await playEpisodes(agent, environment, { first, steps, random })).outcomes);
  }
  return summarizeOutcomes(outcomes);
}

/** Which episodes are played. */
interface Played {
  /** Number of the first; those side by side follow it. */
  readonly first: number;
  readonly steps: number;
  readonly random: RandomStream;
}

/** Plays episodes that begin side by side. */
async function playEpisodes(
  agent: MemoryAgent,
  environment: SeededEnvironment,
  { first, steps, random }: Played,
): Promise<Rollout> {
  const { batchSize, observationShape, actionCount } = environment;
  const rows = Array.from({ length: batchSize }, (_, row) => row);
  const fromFirst = {
    ...{ batchSize, observationShape, actionCount },
    reset: () => environment.restore({ episodes: rows.map((row) => first + row), actions: rows.map(() => []) }),
    step: (actions: ArrayLike<number>) => environment.step(actions),
  };
  const position = await beginRollouts(fromFirst);
  const state = agent.initialState(batchSize);
  try {
    return await rollout(agent, fromFirst, position, { state, steps, random });
  } finally {
    tf.dispose(state);
  }
}

/** The loss over the steps of the first episode of each row. */
function episodeLoss(agent: MemoryAgent, record: Rollout, config: EpisodeConfig): tf.Scalar {
  const { batchSize, steps, inputs } = record;
  const values = agent.apply(tf.tensor3d(inputs, [batchSize, steps, agent.inputSize]));
  const { temperature } = agent;
  return actionValueLoss({ rollout: record, values, counts: firstEpisodes(record) }, { ...config, temperature });
}

/** `[batch, steps]`: 1 up to the end of each row's first episode, 0 behind it. */
export function firstEpisodes({
  batchSize,
  steps,
  ended,
}: Pick<Rollout, 'batchSize' | 'steps' | 'ended'>): Float32Array {
  const counts = new Float32Array(batchSize * steps);
  for (let row = 0; row < batchSize; row++) {
    const begin = row * steps;
    const end = ended.subarray(begin, begin + steps).indexOf(1);
    counts.fill(1, begin, end < 0 ? begin + steps : begin + end + 1);
  }
  return counts;
}
