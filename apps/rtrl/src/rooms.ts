/** Two rooms: an object is seen in the first, and in the second the one that does not match it is to be taken. */

import { nonMatchingObject } from '@fwp/datasets/environments';
import { defineExperiment } from '@fwp/lab';
import type { ActorCriticGradient } from '@fwp/rtrl';
import { z } from 'zod';
import { actorCriticSettings, trainActorCritic } from './actor-critic-training.ts';
import { paper } from './paper.ts';
import { drawRoomsEpisode } from './rooms-picture.ts';
import { successWithin } from './success-claims.ts';

/** Rewards come at every pad, so that gradients are larger than in the T-maze. */
const SMALL = { learningRate: 5e-3, epsilon: 0.01, forgetBias: 4 };

export const rooms = defineExperiment({
  id: 'rtrl/rooms',
  title: 'Two rooms and an object that does not match',
  description:
    'A grid version of the memory task rooms_select_nonmatching_object of DeepMind Lab. The agent sees an object, goes to a ' +
    'pad, waits in the dark, and takes the object of the second room that it has not seen. Its rollouts are shorter than ' +
    'the darkness.',
  paper,
  config: z.object({
    ...actorCriticSettings,
    size: z.int().min(3).default(3).describe('rows and columns of a room'),
    objects: z.int().min(2).default(2).describe('different objects'),
    delay: z.int().min(0).default(10).describe('steps in the dark'),
  }),
  presets: {
    quick: {
      summary: 'rooms of 3 × 3 with two objects, 10 steps in the dark, updates every 5',
      config: { gradients: ['rtrl', 'tbptt'], updates: 3000, ...SMALL },
    },
    standard: {
      summary: 'the same for longer, and an agent without memory',
      config: { updates: 4000, ...SMALL },
    },
    paper: {
      summary: 'rooms of 11 × 11 with eight objects, 100 steps in the dark, the actor-critic of the paper',
      config: {
        size: 11,
        objects: 8,
        delay: 100,
        unroll: 100,
        hiddenSize: 512,
        updates: 31_250,
        learningRate: 6e-4,
        epsilon: 0.01,
      },
    },
  },
  trials: ({ gradients }) => gradients.map((gradient) => ({ gradient })),
  run: (context) => {
    const { config, key, seed, artifact } = context;
    const { size, objects, delay, batchSize } = config;
    const environment = nonMatchingObject({ size, objects, delay, batchSize, seed });
    return trainActorCritic(context, key.gradient as ActorCriticGradient, environment, async (network, memoryless) => {
      await artifact('episode.svg', await drawRoomsEpisode(network, { size, objects, delay, seed, memoryless }));
    });
  },
  claims: [
    {
      text: 'With real-time recurrent learning the agent takes the right object in more than 90 of 100 episodes.',
      holds: (rows) => successWithin(rows, 'rtrl', { least: 0.9 }),
    },
    {
      text: 'With truncated backpropagation it takes one of the two at most by chance.',
      holds: (rows) => successWithin(rows, 'tbptt', { most: 0.65 }),
    },
    {
      text: 'Without a memory, too.',
      holds: (rows) => successWithin(rows, 'memoryless', { most: 0.65 }),
    },
  ],
  report: {
    metric: 'success',
    rows: 'gradient',
    charts: [
      {
        title: 'Episodes solved',
        from: 'metrics',
        x: 'step',
        y: 'success',
        series: 'gradient',
        rule: { y: 0.5, label: 'chance' },
      },
      { title: 'Return', from: 'metrics', x: 'step', y: 'meanReturn', series: 'gradient' },
    ],
  },
});
