/** What an actor-critic has in common with other policies: its loss, and episodes to look at. */

import { dispose, init, RandomStream } from '@fwp/core';
import { tMaze } from '@fwp/datasets/environments';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ActorCritic,
  actorCriticLoss,
  beginRollouts,
  type Policy,
  type Rollout,
  rollout,
  summarizeOutcomes,
  watchEpisode,
} from '../src/index.ts';

beforeAll(async () => {
  await init({ device: 'wasm' });
});
afterAll(dispose);

/** A policy of a state that counts its steps, which takes action 1 from step `turn` on. */
function counting(turn: number): Policy<tf.Tensor1D> {
  return {
    inputSize: 5,
    actionCount: 2,
    step: (_, state) => ({
      logits: tf.stack([tf.zerosLike(state), tf.mul(tf.sub(state, turn - 0.5), 50)], 1) as tf.Tensor2D,
      state: tf.add(state, 1),
    }),
    forget: (state, begins) =>
      begins === undefined
        ? tf.zerosLike(state)
        : tf.mul(
            state,
            tf.tensor1d(
              begins.map((begin) => 1 - begin),
              'float32',
            ),
          ),
    initialState: (batch) => tf.zeros([batch]),
  };
}

describe('rollouts', () => {
  it('are those of any policy, whose state begins anew with each episode', async () => {
    const environment = tMaze({ corridor: 2, carried: true, batchSize: 3 });
    const policy = counting(2);
    const position = await beginRollouts(environment);
    const state = policy.initialState(3);
    const { numTensors } = tf.memory();
    const record = await rollout(policy, environment, position, { state, steps: 6, random: new RandomStream(1) });
    expect(tf.memory().numTensors).toBe(numTensors);
    expect([...record.actions]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1]);
    expect(record.outcomes).toHaveLength(6);
    const forgetful = { state, steps: 3, random: new RandomStream(1), memoryless: true };
    const { actions } = await rollout(policy, environment, await beginRollouts(environment), forgetful);
    expect(new Set(actions)).toEqual(new Set([0]));
    state.dispose();
  });

  it('end as they do', () => {
    expect(summarizeOutcomes([])).toEqual({ success: 0, meanReturn: 0 });
    expect(
      summarizeOutcomes([
        [1, 3],
        [0, -1],
      ]),
    ).toEqual({ success: 0.5, meanReturn: 1 });
  });
});

describe('the loss', () => {
  const [batchSize, steps, actionCount] = [2, 3, 2];
  const record: Rollout = {
    ...{ batchSize, steps, inputs: new Float32Array(0), begins: new Uint8Array(6), outcomes: [] },
    actions: Int32Array.from([0, 1, 1, 1, 0, 0]),
    logProbabilities: Float32Array.from([-0.7, -0.4, -0.9, -0.2, -1.1, -0.5]),
    rewards: Float32Array.from([0, 0.5, -1, 1, 0, 0.25]),
    ended: Uint8Array.from([0, 0, 0, 0, 1, 0]),
    next: { inputs: new Float32Array(0), begins: new Uint8Array(2) },
  };
  const logits = [0.3, -0.2, 0.1, 0.6, -0.4, 0.2, 0.9, 0.5, 0, 0.1, -0.3, 0.8];
  const values = [0.2, -0.1, 0.4, 0.3, 0.6, -0.2];
  const bootstrap = [0.7, -0.5];
  const costs = { discount: 0.9, baselineCost: 0.4, entropyCost: 0.05 };

  /** Equation by equation, in float64. */
  function expected(counts: readonly number[]): number {
    let sum = 0;
    for (let row = 0; row < batchSize; row++) {
      let [target, nextValue] = [bootstrap[row] as number, bootstrap[row] as number];
      for (let t = steps - 1; t >= 0; t--) {
        const at = row * steps + t;
        const exponentials = [0, 1].map((a) => Math.exp(logits[at * actionCount + a] as number));
        const total = exponentials.reduce((a, b) => a + b);
        const policy = exponentials.map((x) => x / total);
        const logProbability = Math.log(policy[record.actions[at] as number] as number);
        const rho = Math.min(1, Math.exp(logProbability - (record.logProbabilities[at] as number)));
        const discount = record.ended[at] === 1 ? 0 : costs.discount;
        const [value, reward] = [values[at] as number, record.rewards[at] as number];
        const advantage = rho * (reward + discount * target - value);
        target = value + rho * (reward + discount * nextValue - value) + discount * rho * (target - nextValue);
        nextValue = value;
        const negativeEntropy = policy.reduce((x, p) => x + p * Math.log(p), 0);
        const critic = 0.5 * costs.baselineCost * (target - value) ** 2;
        sum += (counts[at] as number) * (-logProbability * advantage + critic + costs.entropyCost * negativeEntropy);
      }
    }
    return sum;
  }

  const loss = (counts?: readonly number[]) => {
    const inputs = {
      rollout: record,
      logits: tf.tensor3d(logits, [batchSize, steps, actionCount]),
      values: tf.tensor2d(values, [batchSize, steps]),
      bootstrapValue: tf.tensor1d(bootstrap),
      counts: counts && Float32Array.from(counts),
    };
    return actorCriticLoss(inputs, costs).dataSync()[0] as number;
  };

  it('is what its equation says, also where some steps do not count', () => {
    tf.tidy(() => {
      expect(loss()).toBeCloseTo(expected([1, 1, 1, 1, 1, 1]), 5);
      expect(loss([1, 1, 1, 1, 1, 0])).toBeCloseTo(expected([1, 1, 1, 1, 1, 0]), 5);
      expect(loss([0, 0, 0, 0, 0, 0])).toBe(0);
    });
  });

  it('says what is wrong', () => {
    tf.tidy(() => {
      expect(() => loss([1])).toThrow(/counts must have a number for each of 2 × 3 steps, but has 1/);
      const inputs = {
        rollout: record,
        logits: tf.zeros([2, 3, 2]),
        values: tf.zeros([2, 3]),
        bootstrapValue: tf.zeros([2]),
      };
      expect(() => actorCriticLoss(inputs, { discount: 2 })).toThrow(/actorCriticLoss: discount/);
    });
  });
});

describe('an episode to look at', () => {
  it('is played by what the policy thinks best, and leaves nothing behind', async () => {
    const environment = tMaze({ corridor: 2, carried: true });
    const { numTensors } = tf.memory();
    const seen: number[] = [];
    const look = ({ position }: { position: number }) => seen.push(position);
    const { steps, solved } = await watchEpisode(counting(2), environment, look);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(seen).toEqual([0, 1, 2, 2]);
    expect(steps.map(({ action }) => action)).toEqual([0, 0, 1]);
    expect(solved).toBe((steps[2]?.reward ?? 0) > 0);
    for (const { probabilities } of steps) expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
  });

  it('is that of an actor-critic, too, and one at a time', async () => {
    const random = new RandomStream(1);
    const network = new ActorCritic({ observationSize: 4, actionCount: 2, hiddenSize: 4, random });
    const { steps } = await watchEpisode(network, tMaze({ corridor: 3, carried: true }), () => {}, {
      memoryless: true,
    });
    expect(steps).toHaveLength(4);
    const several = tMaze({ corridor: 3, carried: true, batchSize: 2 });
    await expect(watchEpisode(network, several, () => {})).rejects.toThrow(/batchSize 1, but has 2/);
    network.dispose();
  });
});
