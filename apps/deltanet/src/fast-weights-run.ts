/** The real run behind the moving picture: trains two memories on the retrieval task, then lets them read one sequence. */

import { Adam, RandomStream } from '@fwp/core';
import { associativeRetrieval } from '@fwp/datasets';
import { readScalar } from '@fwp/lab';
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
export async function recordFastWeights(seed: number, tell: (line: string) => void): Promise<PictureContent> {
  const task = associativeRetrieval({
    keys: KEYS,
    replace: true,
    trainLength: 3 * KEYS,
    evaluationLength: 3 * KEYS,
    seed,
  });
  const { keys, values } = task.batch(0, 1, 'test');
  const panels: MemoryAnswers[] = [];
  for (const { memory, ...heading } of MEMORIES) {
    const random = new RandomStream(seed).split(memory);
    const model = new RetrievalModel({ memory, keys: KEYS, keySize: KEY_SIZE, random });
    const optimizer = new Adam(model, { learningRate: 1e-3 });
    for (let step = 0; step < STEPS; step++) {
      const value = onBatch(task.batch(step, 32), (tensors) => optimizer.minimize(() => model.loss(tensors)));
      const loss = await readScalar(value, (step + 1) % 500 === 0);
      if (loss !== undefined) tell(`${memory}: step ${step + 1}, loss ${loss.toFixed(4)}`);
    }
    const recalled: number[][][] = [];
    for (const step of keys.keys()) recalled.push(await answers(model, keys.subarray(0, step + 1), values));
    optimizer.dispose();
    model.dispose();
    panels.push({ ...heading, recalled });
  }
  const pairs = [...keys].map((key, step) => ({ key, value: values[step] as number }));
  return { pairs, keys: KEYS, panels };
}

/** What the model recalls for every key after it has read the first pairs. */
async function answers(model: RetrievalModel, keys: Int32Array, values: Int32Array): Promise<number[][]> {
  const length = keys.length;
  const recalled = tf.tidy(() => {
    const row = (numbers: ArrayLike<number>) => tf.tensor2d(Int32Array.from(numbers), [1, numbers.length], 'int32');
    const all = row([...Array(KEYS).keys()]);
    return model.forward({
      keys: row(keys),
      values: row(values.subarray(0, length)),
      queries: all,
      targets: all,
      mask: tf.ones([1, KEYS]),
    });
  });
  const [answered] = await recalled.array();
  recalled.dispose();
  return answered as number[][];
}
