/**
 * T-maze by reinforcement: a cue at the start of a corridor says where the goal is, at the other end, where the choice is
 * made. Updates come every M steps, and corridors are several times as long.
 */

import { tMaze as tMazeEnvironment } from '@fwp/datasets/environments';
import { defineExperiment } from '@fwp/lab';
import type { ActorCriticGradient } from '@fwp/rtrl';
import { z } from 'zod';
import { actorCriticSettings, trainActorCritic } from './actor-critic-training.ts';
import { drawMazeEpisode } from './maze-picture.ts';
import { paper } from './paper.ts';
import { successWithin } from './success-claims.ts';

export const tMaze = defineExperiment({
  id: 'rtrl/t-maze',
  title: 'T-maze: an actor-critic with short rollouts and a long memory',
  description:
    'An agent is carried along a corridor and has to remember a cue from its start. It learns every few steps. With ' +
    'real-time recurrent learning the gradient reaches back to the cue however long the corridor is; truncated ' +
    'backpropagation through time ends at the last update, and an agent without memory has to guess.',
  paper,
  config: z.object({
    ...actorCriticSettings,
    corridors: z.array(z.int().min(1)).min(1).default([20]).describe('steps from the cue to the choice'),
    carried: z.boolean().default(true).describe('whether the agent is carried along, or walks with four actions'),
  }),
  presets: {
    quick: {
      summary: 'a corridor of 20, updates every 5 steps: real-time and truncated',
      config: { gradients: ['rtrl', 'tbptt'], corridors: [20], updates: 1200 },
    },
    standard: {
      summary: 'corridors of 20 and 40, updates every 5 steps',
      config: { corridors: [20, 40], updates: 3000 },
    },
    paper: {
      summary: 'the actor-critic of the paper (512 units, updates every 100 steps) in corridors of 500 and 1000',
      config: {
        ...{ corridors: [500, 1000], unroll: 100, hiddenSize: 512, forgetBias: 8, updates: 31_250 },
        ...{ learningRate: 6e-4, epsilon: 0.01 },
      },
    },
  },
  trials: ({ gradients, corridors }) =>
    corridors.flatMap((corridor) => gradients.map((gradient) => ({ gradient, corridor }))),
  run: (context) => {
    const { config, key, seed, artifact } = context;
    const { corridor } = key;
    const { batchSize, carried } = config;
    const gradient = key.gradient as ActorCriticGradient;
    const environment = tMazeEnvironment({ corridor, carried, batchSize, seed });
    return trainActorCritic(context, gradient, environment, async (network, memoryless) => {
      await artifact('episode.svg', await drawMazeEpisode(network, { corridor, carried, seed, memoryless }));
    });
  },
  claims: [
    {
      text: 'With real-time recurrent learning the agent finds the goal in more than 90 of 100 episodes, in corridors much longer than its rollouts.',
      holds: (rows) => successWithin(rows, 'rtrl', { least: 0.9 }),
    },
    {
      text: 'With truncated backpropagation it guesses.',
      holds: (rows) => successWithin(rows, 'tbptt', { most: 0.65 }),
    },
    {
      text: 'Without a memory it guesses.',
      holds: (rows) => successWithin(rows, 'memoryless', { most: 0.65 }),
    },
  ],
  report: {
    metric: 'success',
    rows: 'gradient',
    columns: 'corridor',
    charts: [
      {
        title: 'Episodes solved',
        from: 'metrics',
        x: 'step',
        y: 'success',
        series: 'gradient',
        facet: 'corridor',
        rule: { y: 0.5, label: 'guessing' },
      },
      { title: 'Return', from: 'metrics', x: 'step', y: 'meanReturn', series: 'gradient', facet: 'corridor' },
    ],
  },
});
