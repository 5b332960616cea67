/** Agents whose memories are sequence layers: acting is what training learns from. */

import { dispose, init, RandomStream } from '@fwp/core';
import { passiveVisualMatch, VISUAL_MATCH_FLOOR } from '@fwp/datasets/environments';
import { rollout } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { firstEpisodes, testOnEpisodes } from '../src/episode-training.ts';
import { drawMatchEpisode } from '../src/match-picture.ts';
import { MemoryAgent } from '../src/memory-agent.ts';
import { MODELS, type ModelConfig, type ModelName } from '../src/models.ts';

beforeAll(async () => {
  await init({ device: 'wasm' });
});
afterAll(dispose);

const config: ModelConfig = {
  ...{ size: 8, heads: 2, layers: 2, window: 3, rotary: true, convolution: 0, outputGate: false },
  mixer: 'vector',
  initializerRange: 0.3,
};
const lengths = { lookSteps: 2, collectSteps: 4, matchSteps: 3 };
const agentOf = (name: ModelName) =>
  new MemoryAgent(
    name,
    config,
    { observationShape: [5, 5, 3], actionCount: 4, floor: VISUAL_MATCH_FLOOR },
    new RandomStream(1),
  );

describe.each(MODELS)('an agent with %s', (name) => {
  it('says of whole episodes what it says step by step, and leaves nothing behind', () => {
    const { numTensors } = tf.memory();
    const agent = agentOf(name);
    agent.temperature = 0.5;
    tf.tidy(() => {
      const x = tf.randomNormal([2, 7, 76], 0, 1, 'float32', 3) as tf.Tensor3D;
      const expected = tf.unstack(tf.div(agent.apply(x), agent.temperature), 1);
      let state = agent.initialState(2);
      tf.unstack(x, 1).forEach((observed, t) => {
        const result = agent.step(observed as tf.Tensor2D, state);
        state = result.state;
        const distance = tf.max(tf.abs(tf.sub(result.logits, expected[t] as tf.Tensor))).dataSync()[0];
        expect(distance).toBeLessThan(1e-5);
      });
    });
    agent.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('an agent that cannot be made', () => {
  it('leaves nothing behind', () => {
    const { numTensors } = tf.memory();
    const environment = { observationShape: [5, 5, 3], actionCount: 0, floor: VISUAL_MATCH_FLOOR };
    expect(() => new MemoryAgent('window', config, environment, new RandomStream(1))).toThrow(/outputSize/);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('episodes', () => {
  it('are tested as they are numbered, each once, and the same again', async () => {
    const agent = agentOf('synchronous');
    const { numTensors } = tf.memory();
    const test = (batchSize: number) =>
      testOnEpisodes(agent, passiveVisualMatch({ ...lengths, batchSize, split: 'test' }), {
        ...{ episodes: 6, steps: 9, random: new RandomStream(2) },
      });
    expect(await test(3)).toEqual(await test(3));
    expect(tf.memory().numTensors).toBe(numTensors);
    agent.dispose();
  });

  it('count up to their end, not what comes behind it', () => {
    const ended = Uint8Array.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    expect([...firstEpisodes({ batchSize: 2, steps: 5, ended })]).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
  });

  it('are drawn', async () => {
    const agent = agentOf('deltaNet');
    const svg = await drawMatchEpisode(agent, passiveVisualMatch({ ...lengths, split: 'test' }));
    expect(svg.match(/<polyline /g)).toHaveLength(2);
    // Three doors, and ten apples.
    expect(svg.match(/<circle /g)).toHaveLength(13);
    expect(svg).toMatch(/found/);
    agent.dispose();
  });

  it('do not forget row by row', async () => {
    const agent = agentOf('window');
    const environment = passiveVisualMatch(lengths);
    const position = { inputs: new Float32Array(76), begins: Uint8Array.of(1) };
    const options = { state: agent.initialState(1), steps: 1, random: new RandomStream(1), memoryless: true };
    await expect(rollout(agent, environment, position, options)).rejects.toThrow(/needs no memory/);
    tf.dispose(options.state);
    agent.dispose();
  });
});
