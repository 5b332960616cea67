/**
 * How many steps of T-mazes an agent makes in a second, acting included: `node scripts/throughput.mjs [threads] [workers]`.
 * With workers the mazes are in so many threads of their own.
 */

import { init, RandomStream } from '@fwp/core';
import { tMaze } from '@fwp/datasets/environments';
import { ActorCritic, beginRollouts, rollout } from '@fwp/rtrl';
import { workerEnvironment } from '@fwp/rtrl/workers';
import * as tf from '@tensorflow/tfjs-core';

const [threads = 1, workers = 0] = process.argv.slice(2).map(Number);
const [corridor, batchSize, hiddenSize, steps] = [40, 512, 32, 20];

await init({ device: 'auto', threads });
const options = { corridor, carried: true };
const environment =
  workers === 0
    ? tMaze({ ...options, batchSize })
    : await workerEnvironment({
        module: import.meta.resolve('@fwp/datasets/environments'),
        factory: 'tMaze',
        options: Array.from({ length: workers }, (_, seed) => ({ ...options, seed, batchSize: batchSize / workers })),
      });
const random = new RandomStream(1);
const network = new ActorCritic({ observationSize: 4, actionCount: 2, hiddenSize, forgetBias: 5, random });
const state = tf.zeros([batchSize, hiddenSize]);
let position = await beginRollouts(environment);

const rates = [];
for (let round = 0; round < 12; round++) {
  const begin = performance.now();
  for (let i = 0; i < 5; i++) {
    ({ next: position } = await rollout(network, environment, position, { state, steps, random }));
  }
  rates.push((5 * steps * batchSize * 1000) / (performance.now() - begin));
}
rates.sort((a, b) => a - b);
const median = rates[rates.length / 2];
console.log(`${Math.round(median).toLocaleString('en')} environment steps per second (median of ${rates.length})`);
await environment.close?.();
