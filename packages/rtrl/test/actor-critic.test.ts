import * as core from '@fwp/core';
import { Adam, dispose, init, RandomStream } from '@fwp/core';
import { tMaze } from '@fwp/datasets/environments';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ActorCritic,
  type ActorCriticGradient,
  ActorCriticLearner,
  beginRollouts,
  type Rollout,
  rollout,
} from '../src/index.ts';

const batchSize = 8;

function make(gradient: ActorCriticGradient, corridor = 4, seed = 1) {
  const environment = tMaze({ corridor, carried: true, batchSize, seed });
  const random = new RandomStream(seed);
  const network = new ActorCritic({ observationSize: 4, actionCount: 2, hiddenSize: 16, forgetBias: 3, random });
  return { environment, network, learner: new ActorCriticLearner(network, { batchSize, gradient }), random };
}

async function gradientsOf(gradient: ActorCriticGradient, pieces: number[]): Promise<Float32Array[]> {
  const { environment, network, learner, random } = make(gradient);
  let position = await beginRollouts(environment);
  let sums: Float32Array[] | undefined;
  for (const steps of pieces) {
    const record = await rollout(network, environment, position, { state: learner.learner.state, steps, random });
    position = record.next;
    const result = learner.learn(record);
    const values = network
      .parameters()
      .map(({ name }) => (result.gradients[name] as tf.Tensor).dataSync() as Float32Array);
    sums = sums === undefined ? values : values.map((value, i) => value.map((x, j) => x + (sums?.[i]?.[j] as number)));
    tf.dispose(result as unknown as tf.TensorContainer);
  }
  learner.dispose();
  network.dispose();
  return sums as Float32Array[];
}

const distance = (a: Float32Array[], b: Float32Array[]) =>
  Math.max(...a.map((values, i) => Math.max(...values.map((x, j) => Math.abs(x - (b[i]?.[j] as number))))));

describe.each((await availableDevices(core)).filter(({ name }) => name !== 'cpu'))(
  'actor-critic on $name',
  ({ options }) => {
    beforeAll(async () => {
      await init(options);
    });
    afterAll(dispose);

    it('learned in real time or backward has one gradient while nothing is cut off', async () => {
      const [forward, backward, memoryless] = await Promise.all(
        (['rtrl', 'tbptt', 'memoryless'] as const).map((gradient) => gradientsOf(gradient, [12])),
      );
      expect(distance(forward as Float32Array[], backward as Float32Array[])).toBeLessThan(1e-4);
      expect(distance(forward as Float32Array[], memoryless as Float32Array[])).toBeGreaterThan(1e-2);
    });

    it('truncated at rollouts the two differ', async () => {
      expect(distance(await gradientsOf('rtrl', [3, 3]), await gradientsOf('tbptt', [3, 3]))).toBeGreaterThan(1e-3);
    });

    it('learns a corridor longer than its rollouts', async () => {
      const { environment, network, learner, random } = make('rtrl', 4, 2);
      const optimizer = new Adam(network, { learningRate: 3e-3, clipNorm: 40 });
      let position = await beginRollouts(environment);
      const recent: number[] = [];
      for (let update = 0; update < 600; update++) {
        const record = await rollout(network, environment, position, {
          state: learner.learner.state,
          steps: 2,
          random,
        });
        position = record.next;
        const result = learner.learn(record);
        optimizer.step(result.gradients);
        tf.dispose(result as unknown as tf.TensorContainer);
        if (update >= 550) recent.push(...record.outcomes.map(([solved]) => solved));
      }
      expect(recent.reduce((sum, solved) => sum + solved, 0) / recent.length).toBeGreaterThan(0.9);
      optimizer.dispose();
      learner.dispose();
      network.dispose();
    });

    it('records what was seen, done and rewarded, and repeats it for the same seed', async () => {
      const records = await Promise.all(
        [1, 1, 2].map(async (seed) => {
          const { environment, network, learner, random } = make('rtrl', 2, seed);
          const position = await beginRollouts(environment);
          const record = await rollout(network, environment, position, {
            state: learner.learner.state,
            steps: 7,
            random,
          });
          learner.dispose();
          network.dispose();
          return record;
        }),
      );
      const [first, again, other] = records as [Rollout, Rollout, Rollout];
      expect(again).toEqual(first);
      expect(other.actions).not.toEqual(first.actions);
      // Three steps an episode: seen at the start, in the corridor, at the junction.
      const row = Array.from({ length: 7 }, (_, t) => [...first.inputs.subarray(5 * t, 5 * t + 4)]);
      expect(row.map((seen) => seen.slice(2))).toEqual([
        [1, 0],
        [1, 0],
        [0, 1],
        [1, 0],
        [1, 0],
        [0, 1],
        [1, 0],
      ]);
      expect([...first.begins.subarray(0, 7)]).toEqual([1, 0, 0, 1, 0, 0, 1]);
      expect([...first.ended.subarray(0, 7)]).toEqual([0, 0, 1, 0, 0, 1, 0]);
      expect(first.inputs[5 * 3 + 4]).toBe(first.rewards[2]);
      expect(first.outcomes.length).toBe(2 * batchSize);
      const rewarded = [...first.rewards].filter((reward) => reward === 1).length;
      expect(first.outcomes.filter(([solved]) => solved === 1).length).toBe(rewarded);
      for (const logProbability of first.logProbabilities) expect(logProbability).toBeLessThan(0);
    });

    it('keeps nothing but its state', async () => {
      const { environment, network, learner, random } = make('rtrl');
      let position = await beginRollouts(environment);
      const counts: number[] = [];
      for (let i = 0; i < 4; i++) {
        const record = await rollout(network, environment, position, {
          state: learner.learner.state,
          steps: 3,
          random,
        });
        position = record.next;
        tf.dispose(learner.learn(record) as unknown as tf.TensorContainer);
        counts.push(tf.memory().numTensors);
      }
      expect(new Set(counts.slice(1)).size).toBe(1);
      learner.dispose();
      network.dispose();
    });

    it('says what does not fit', async () => {
      const { network, learner, random } = make('rtrl');
      const options_ = { state: learner.learner.state, steps: 3, random };
      const walking = tMaze({ corridor: 4, batchSize });
      const position = await beginRollouts(walking);
      await expect(rollout(network, walking, position, options_)).rejects.toThrow(/has 4 actions, but the policy 2/);
      const carried = tMaze({ corridor: 4, carried: true, batchSize });
      const short = { inputs: new Float32Array(batchSize * 3), begins: new Uint8Array(batchSize) };
      await expect(rollout(network, carried, short, options_)).rejects.toThrow(/has 2 numbers, but the policy takes 4/);
      expect(() => new ActorCriticLearner(network, { batchSize, gradient: 'exact' as never })).toThrow(
        /gradient must be 'rtrl'/,
      );
      expect(() => new ActorCriticLearner(network, { batchSize, discount: 2 })).toThrow(/discount/);
      learner.dispose();
      network.dispose();
    });
  },
);
