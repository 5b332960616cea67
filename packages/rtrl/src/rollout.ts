/** Acting: a number of steps in all environments, and a record of them to learn from. */

import { assertCount, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { VectorEnvironment } from './environment.ts';
import type { Policy } from './policy.ts';

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
  /** What the policy saw, `[batch, steps, observationSize + 1]`. */
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

/** How episodes ended: the share that was solved, and the mean of their returns; 0 if there are none. */
export function summarizeOutcomes(outcomes: Rollout['outcomes']): { success: number; meanReturn: number } {
  const count = Math.max(outcomes.length, 1);
  const sum = (part: 0 | 1) => outcomes.reduce((total, outcome) => total + outcome[part], 0);
  return { success: sum(0) / count, meanReturn: sum(1) / count };
}

/** Options of {@link rollout}. */
export interface RolloutOptions<State extends tf.TensorContainer> {
  /** The policy's state before the first step, as `c` of an actor-critic, `[batch, hiddenSize]`. It stays. */
  readonly state: State;
  /** Steps in every environment. */
  readonly steps: number;
  /** Draws the actions. */
  readonly random: RandomStream;
  /** Whether the policy forgets before every step: an agent without memory. Default false. */
  readonly memoryless?: boolean;
}

/** Where environments are before the first rollout: resets them. */
export async function beginRollouts(environment: VectorEnvironment): Promise<RolloutPosition> {
  const observations = await environment.reset();
  const begins = new Uint8Array(environment.batchSize).fill(1);
  return { inputs: withRewards(observations, new Float32Array(environment.batchSize)), begins };
}

/**
 * Acts by a policy.
 *
 * @param policy decides; it stays as it is
 * @param environment of the policy's actions and observations
 * @param position from {@link beginRollouts} or the last rollout
 */
export async function rollout<State extends tf.TensorContainer>(
  policy: Policy<State>,
  environment: VectorEnvironment,
  position: RolloutPosition,
  { state, steps, random, memoryless = false }: RolloutOptions<State>,
): Promise<Rollout> {
  assertCount('rollout: steps', steps);
  const { batchSize, actionCount } = environment;
  if (actionCount !== policy.actionCount) {
    throw new RangeError(`rollout: the environment has ${actionCount} actions, but the policy ${policy.actionCount}.`);
  }
  const size = policy.inputSize;
  if (position.inputs.length !== batchSize * size) {
    throw new RangeError(
      `rollout: an observation has ${position.inputs.length / batchSize - 1} numbers, but the policy takes ${size - 1}.`,
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
  let remembered = state;
  try {
    for (let t = 0; t < steps; t++) {
      const [logits, next] = await act(policy, inputs, memoryless ? undefined : begins, remembered);
      if (remembered !== state) tf.dispose(remembered);
      remembered = next;
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
      const rewards = step.rewards.map(clippedReward);
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
    if (remembered !== state) tf.dispose(remembered);
  }
  return { batchSize, steps, ...record, next: { inputs, begins }, outcomes };
}

/** Logits, without stopping a GPU for them, and the state behind the step. `begins` undefined: all rows forget. */
export async function act<State extends tf.TensorContainer>(
  policy: Policy<State>,
  inputs: Float32Array,
  begins: Uint8Array | undefined,
  before: State,
): Promise<[Float32Array, State]> {
  const [logits, state] = tf.tidy(() => {
    const x = tf.tensor2d(inputs, [inputs.length / policy.inputSize, policy.inputSize]);
    const step = policy.step(x, policy.forget(before, begins));
    return [step.logits, step.state] as unknown as tf.TensorContainerArray;
  }) as unknown as [tf.Tensor, State];
  try {
    return [(await logits.data()) as Float32Array, state];
  } catch (error) {
    tf.dispose(state);
    throw error;
  } finally {
    logits.dispose();
  }
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

/** A reward as policies see and learn from it: ±1 at most. */
export function clippedReward(reward: number): number {
  return Math.min(Math.max(reward, -1), 1);
}

/** Observations, with the reward before each: what a policy sees. */
export function withRewards(observations: Float32Array, rewards: Float32Array): Float32Array {
  const size = observations.length / rewards.length;
  const inputs = new Float32Array(observations.length + rewards.length);
  for (let row = 0; row < rewards.length; row++) {
    const at = row * (size + 1);
    for (let i = 0; i < size; i++) inputs[at + i] = observations[row * size + i] as number;
    inputs[at + size] = rewards[row] as number;
  }
  return inputs;
}
