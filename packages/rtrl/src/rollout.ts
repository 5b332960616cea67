/** Acting: a number of steps in all environments, and a record of them to learn from. */

import { assertCount, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { ActorCritic } from './actor-critic.ts';
import type { VectorEnvironment } from './environment.ts';

/** Where environments are between two rollouts. Plain numbers, which a checkpoint can hold. */
export interface RolloutPosition {
  /** What is observed now, with the rewards that came with it: `[batch, observationSize + 1]`. */
  inputs: Float32Array;
  /** `[batch]`, 1 where an episode begins with what is observed now. */
  begins: Uint8Array;
}

/** A record of steps. */
export interface Rollout {
  readonly batchSize: number;
  readonly steps: number;
  /** What the network saw, `[batch, steps, observationSize + 1]`. */
  readonly inputs: Float32Array;
  /** `[batch, steps]`, 1 where an episode began with what was seen. */
  readonly begins: Uint8Array;
  /** `[batch, steps]`. */
  readonly actions: Int32Array;
  /** Logarithms of the probabilities with which they were chosen, `[batch, steps]`. */
  readonly logProbabilities: Float32Array;
  /** What followed, clipped to ±1, `[batch, steps]`. */
  readonly rewards: Float32Array;
  /** `[batch, steps]`, 1 where the step ended its episode. */
  readonly ended: Uint8Array;
  /** Where it goes on. */
  readonly next: RolloutPosition;
  /** Episodes that ended, in the order in which they did: 1 if what they asked for was done, else 0; sum of all rewards. */
  readonly outcomes: readonly (readonly [solved: number, episodeReturn: number])[];
}

/** Options of {@link rollout}. */
export interface RolloutOptions {
  /** c of the network before the first step, `[batch, hiddenSize]`. */
  readonly state: tf.Tensor2D;
  /** Steps in every environment. */
  readonly steps: number;
  /** Draws the actions. */
  readonly random: RandomStream;
  /** Whether the network forgets before every step: an agent without memory. Default false. */
  readonly memoryless?: boolean;
}

/** Where environments are before the first rollout: resets them. */
export async function beginRollouts(environment: VectorEnvironment): Promise<RolloutPosition> {
  const observations = await environment.reset();
  const begins = new Uint8Array(environment.batchSize).fill(1);
  return { inputs: withRewards(observations, new Float32Array(environment.batchSize)), begins };
}

/**
 * Acts by the policy.
 *
 * @param network decides; it stays as it is
 * @param environment of the network's actions and observations
 * @param position from {@link beginRollouts} or the last rollout
 */
export async function rollout(
  network: ActorCritic,
  environment: VectorEnvironment,
  position: RolloutPosition,
  { state, steps, random, memoryless = false }: RolloutOptions,
): Promise<Rollout> {
  assertCount('rollout: steps', steps);
  const { batchSize, actionCount } = environment;
  if (actionCount !== network.actionCount) {
    throw new RangeError(
      `rollout: the environment has ${actionCount} actions, but the network ${network.actionCount}.`,
    );
  }
  const size = network.layer.inputSize;
  if (position.inputs.length !== batchSize * size) {
    throw new RangeError(
      `rollout: an observation has ${position.inputs.length / batchSize - 1} numbers, but the network takes ${size - 1}.`,
    );
  }
  const draws = random.uniform(batchSize * steps);
  const record = {
    inputs: new Float32Array(batchSize * steps * size),
    begins: new Uint8Array(batchSize * steps),
    actions: new Int32Array(batchSize * steps),
    logProbabilities: new Float32Array(batchSize * steps),
    rewards: new Float32Array(batchSize * steps),
    ended: new Uint8Array(batchSize * steps),
  };
  const outcomes: [solved: number, episodeReturn: number][] = [];
  let { inputs, begins } = position;
  let cell = state.clone();
  try {
    for (let t = 0; t < steps; t++) {
      const [logits, next] = act(network, inputs, memoryless ? undefined : begins, cell);
      cell.dispose();
      cell = next;
      const actions = new Int32Array(batchSize);
      for (let row = 0; row < batchSize; row++) {
        const at = row * steps + t;
        const [action, logProbability] = choose(logits, row * actionCount, actionCount, draws[at] as number);
        actions[row] = action;
        record.actions[at] = action;
        record.logProbabilities[at] = logProbability;
        record.begins[at] = begins[row] as number;
        for (let i = 0; i < size; i++) record.inputs[at * size + i] = inputs[row * size + i] as number;
      }
      const step = await environment.step(actions);
      const rewards = step.rewards.map((reward) => Math.min(Math.max(reward, -1), 1));
      for (let row = 0; row < batchSize; row++) {
        const at = row * steps + t;
        record.rewards[at] = rewards[row] as number;
        record.ended[at] = step.ended[row] as number;
        if (step.ended[row] === 0) continue;
        outcomes.push([step.solved[row] as number, step.episodeReturns[row] as number]);
      }
      inputs = withRewards(step.observations, rewards);
      begins = step.ended;
    }
  } finally {
    cell.dispose();
  }
  return { batchSize, steps, ...record, next: { inputs, begins }, outcomes };
}

/** Logits, and c behind the step. `begins` undefined: all rows forget. */
function act(
  network: ActorCritic,
  inputs: Float32Array,
  begins: Uint8Array | undefined,
  cell: tf.Tensor2D,
): [Float32Array, tf.Tensor2D] {
  return tf.tidy(() => {
    const batch = cell.shape[0];
    const x = tf.tensor2d(inputs, [batch, network.layer.inputSize]);
    const { logits, state } = network.step(x, remembered(cell, begins));
    return [logits.dataSync() as Float32Array, state] as [Float32Array, tf.Tensor2D];
  });
}

/** c without the rows in which a sequence begins. */
export function remembered(cell: tf.Tensor2D, begins: Uint8Array | undefined): tf.Tensor2D {
  if (begins === undefined) return tf.zerosLike(cell);
  if (!begins.includes(1)) return cell;
  const mask = tf.tensor2d(begins, [begins.length, 1], 'bool');
  return tf.where(tf.broadcastTo(mask, cell.shape), tf.zerosLike(cell), cell);
}

/** An action by the softmax of logits at `at`, for a uniform number in [0, 1), and the logarithm of its probability. */
function choose(
  logits: Float32Array,
  at: number,
  count: number,
  draw: number,
): [action: number, logProbability: number] {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) most = Math.max(most, logits[at + i] as number);
  let total = 0;
  for (let i = 0; i < count; i++) total += Math.exp((logits[at + i] as number) - most);
  let action = 0;
  let rest = draw * total;
  for (; action < count - 1; action++) {
    rest -= Math.exp((logits[at + action] as number) - most);
    if (rest < 0) break;
  }
  return [action, (logits[at + action] as number) - most - Math.log(total)];
}

/** Observations, with the reward behind each. */
function withRewards(observations: Float32Array, rewards: Float32Array): Float32Array {
  const size = observations.length / rewards.length;
  const inputs = new Float32Array(observations.length + rewards.length);
  for (let row = 0; row < rewards.length; row++) {
    const at = row * (size + 1);
    for (let i = 0; i < size; i++) inputs[at + i] = observations[row * size + i] as number;
    inputs[at + size] = rewards[row] as number;
  }
  return inputs;
}
