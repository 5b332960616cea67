/** The real run behind the moving picture: trains two memories on the retrieval task, then lets them read one sequence. */

import { Adam, RandomStream } from '@fwp/core';
import { associativeRetrieval } from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';
import type { MemoryAnswers, PictureContent } from './fast-weights-picture.ts';
import { RetrievalModel } from './retrieval-model.ts';
import { onBatch } from './retrieval-training.ts';

const KEYS = 8;
const KEY_SIZE = 32;
const STEPS = 1500;
const MEMORIES = [
  { title: 'Sum rule', equation: 'W ← W + v kᵀ', memory: 'dpfp-1 sum' },
  { title: 'Delta rule', equation: 'W ← W + β (v − W k) kᵀ', memory: 'dpfp-1 delta' },
];

/**
 * Trains and records, on the current tfjs backend.
 *
 * @param seed weights and sequences
 * @param tell gets a line of progress now and then
 */
export function recordFastWeights(seed: number, tell: (line: string) => void): PictureContent {
  const task = associativeRetrieval({
    keys: KEYS,
    replace: true,
    trainLength: 3 * KEYS,
    evaluationLength: 3 * KEYS,
    seed,
  });
  const { keys, values } = task.batch(0, 1, 'test');
  const panels = MEMORIES.map(({ memory, ...heading }): MemoryAnswers => {
    const random = new RandomStream(seed).split(memory);
    const model = new RetrievalModel({ memory, keys: KEYS, keySize: KEY_SIZE, random });
    const optimizer = new Adam(model, { learningRate: 1e-3 });
    for (let step = 0; step < STEPS; step++) {
      const loss = onBatch(task.batch(step, 32), (tensors) => optimizer.minimize(() => model.loss(tensors)));
      if ((step + 1) % 500 === 0) tell(`${memory}: step ${step + 1}, loss ${loss.dataSync()[0]?.toFixed(4)}`);
      loss.dispose();
    }
    const recalled = [...keys.keys()].map((step) => answers(model, keys.subarray(0, step + 1), values));
    optimizer.dispose();
    model.dispose();
    return { ...heading, recalled };
  });
  const pairs = [...keys].map((key, step) => ({ key, value: values[step] as number }));
  return { pairs, keys: KEYS, panels };
}

/** What the model recalls for every key after it has read the first pairs. */
function answers(model: RetrievalModel, keys: Int32Array, values: Int32Array): number[][] {
  const length = keys.length;
  return tf.tidy(() => {
    const row = (numbers: ArrayLike<number>) => tf.tensor2d(Int32Array.from(numbers), [1, numbers.length], 'int32');
    const all = row([...Array(KEYS).keys()]);
    const recalled = model.forward({
      keys: row(keys),
      values: row(values.subarray(0, length)),
      queries: all,
      targets: all,
      mask: tf.ones([1, KEYS]),
    });
    return recalled.arraySync()[0] as number[][];
  });
}
