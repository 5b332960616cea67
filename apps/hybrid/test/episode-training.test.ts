/** Learning from whole episodes: returns worked out by hand, and a small task that only a memory solves. */

import { dispose, init, RandomStream } from '@fwp/core';
import { createEnvironment } from '@fwp/datasets/environments';
import type { TrialContext } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { actionValueLoss } from '../src/action-value-loss.ts';
import { testOnEpisodes, trainOnEpisodes } from '../src/episode-training.ts';
import { MemoryAgent } from '../src/memory-agent.ts';
import type { ModelConfig, ModelName } from '../src/models.ts';

beforeAll(async () => {
  await init({ device: 'wasm' });
});
afterAll(dispose);

describe('the loss of action values', () => {
  // Two actions that are valued alike, so that V is their value whatever τ is.
  const rollout = {
    ...{ batchSize: 1, steps: 3 },
    actions: Int32Array.of(0, 1, 0),
    rewards: Float32Array.of(0, 1, 7),
    ended: Uint8Array.of(0, 1, 0),
  };
  const both = (...values: number[]) =>
    tf.tensor3d(
      values.flatMap((value) => [value, value]),
      [1, 3, 2],
    );
  const returns = { discount: 0.5, lambda: 0.25, temperature: 1 };

  it('compares the values of what was done with λ-returns, of the steps that count', () => {
    tf.tidy(() => {
      const values = both(2, 4, 8);
      const loss = actionValueLoss({ rollout, values, counts: Float32Array.of(1, 1, 0) }, returns);
      // G₁ = 1, as the episode ends; G₀ = 0 + 0.5 (0.75 · 4 + 0.25 · 1).
      const expected = ((2 - 1.625) ** 2 + (4 - 1) ** 2) / 4;
      expect(loss.dataSync()[0]).toBeCloseTo(expected, 5);
    });
  });

  it('teaches only what was done, and returns are constants', () => {
    tf.tidy(() => {
      const counts = Float32Array.of(1, 1, 0);
      const gradient = tf.grad((values) =>
        actionValueLoss({ rollout, values: values as tf.Tensor3D, counts }, returns),
      )(both(2, 4, 8));
      const expected = [(2 - 1.625) / 2, 0, 0, (4 - 1) / 2, 0, 0];
      Array.from(gradient.dataSync()).forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 5);
      });
    });
  });
});

/** One of two colours is seen, then nothing, then the action of that colour is to be chosen. */
function cueEnvironment(batchSize: number, split: 'train' | 'test') {
  return createEnvironment(
    {
      ...{ name: 'cue', observationShape: [1, 1, 3], actionCount: 2 },
      begin: (random) => {
        const cue = random.integer(2);
        let step = 0;
        return {
          observe: (observation) => {
            if (step === 0) observation[cue] = 1;
            if (step === 2) observation[2] = 1;
          },
          act: (action) => {
            step++;
            const solved = step === 3 && action === cue;
            return { reward: solved ? 1 : 0, terminated: step === 3, solved };
          },
        };
      },
    },
    { batchSize, seed: 1, split },
  );
}

/** Steps of a training that nothing interrupts. */
async function* uninterrupted({ total }: { total: number }) {
  for (let step = 1; step <= total; step++) yield step;
}

/** Share of the episodes that an agent solves after a short training. */
async function learned(name: ModelName): Promise<number> {
  const random = new RandomStream(1);
  const config = {
    ...{ batchSize: 32, updates: 60, passes: 3, learningRate: 5e-3, weightDecay: 0, clipNorm: 1, testEpisodes: 128 },
    ...{ discount: 0.9, lambda: 0.8, temperature: 0.1, finalTemperature: 0.01 },
  };
  const model: ModelConfig = {
    ...{ size: 16, heads: 2, layers: 1, window: 2, rotary: true, convolution: 0, outputGate: false },
    mixer: 'vector',
    initializerRange: 0.4,
  };
  const environment = { observationShape: [1, 1, 3], actionCount: 2, floor: [0, 0, 0] };
  const agent = new MemoryAgent(name, model, environment, random.split('weights'));
  const steps = uninterrupted as unknown as TrialContext<unknown, unknown>['steps'];
  await trainOnEpisodes({ config, random, steps, log: () => {} }, agent, cueEnvironment(32, 'train'), 3);
  const test = { episodes: 128, steps: 3, random: random.split('test') };
  const { success } = await testOnEpisodes(agent, cueEnvironment(32, 'test'), test);
  agent.dispose();
  return success;
}

describe('a colour seen two steps before it is asked for', () => {
  it.each(['attention', 'deltaNet', 'synchronous'] as const)('is learned to be remembered with %s', async (name) => {
    expect(await learned(name)).toBeGreaterThan(0.95);
  });

  it('is guessed by attention over a window of two', async () => {
    expect(await learned('window')).toBeLessThan(0.7);
  });
});
