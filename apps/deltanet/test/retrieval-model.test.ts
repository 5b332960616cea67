import { dispose, init, RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetrievalModel, type RetrievalTensors } from '../src/retrieval-model.ts';

const KEYS = 6;

beforeAll(() => init({ device: 'wasm', threads: 1 }));
afterAll(dispose);

/** A model that recalls the same whatever it is asked. */
class ConstantModel extends RetrievalModel {
  readonly #value: number;

  constructor(value: number) {
    super({ memory: 'linear', keys: KEYS, keySize: 4, random: new RandomStream(1) });
    this.#value = value;
  }

  override forward({ queries }: RetrievalTensors): tf.Tensor3D {
    return tf.fill([...queries.shape, KEYS], this.#value);
  }
}

describe('the loss', () => {
  it('is 0.5 for a memory that recalls nothing', () => {
    expect(new ConstantModel(0).loss(questions()).dataSync()[0]).toBe(0.5);
  });

  it('is 0.5 (1 − 1/N) for a memory that recalls a little of everything', () => {
    expect(new ConstantModel(1 / KEYS).loss(questions()).dataSync()[0]).toBeCloseTo(0.5 * (1 - 1 / KEYS), 6);
  });

  it('leaves out questions that were not asked', () => {
    const model = new RetrievalModel({ memory: 'linear', keys: KEYS, keySize: 4, random: new RandomStream(1) });
    const { mask, targets, ...rest } = questions();
    const changed = tf.tensor2d([1, 3, 0, 5], [2, 2], 'int32');
    const [kept, other] = [targets, changed].map((wanted) => model.loss({ ...rest, mask, targets: wanted }).dataSync());
    expect(kept).toEqual(other);
  });
});

it.each(['softmax', 'linear', 'dpfp-1', 'dpfp-1 delta', 'tanh fwm', 'favor-8'])('%s learns', (memory) => {
  const model = new RetrievalModel({ memory, keys: KEYS, keySize: 4, random: new RandomStream(1) });
  const tensors = questions();
  const optimizer = tf.train.adam(0.01);
  const losses = Array.from({ length: 20 }, () =>
    tf.tidy(() => (optimizer.minimize(() => model.loss(tensors), true) as tf.Scalar).dataSync()[0]),
  ) as number[];
  expect(losses.at(-1)).toBeLessThan(losses[0] as number);
});

it('softmax and sum need no write strengths, delta and fwm learn them', () => {
  const names = (memory: string) => [
    ...new RetrievalModel({ memory, keys: KEYS, keySize: 4, random: new RandomStream(1) }).namedParameters().keys(),
  ];
  expect(names('linear')).toEqual(names('softmax'));
  expect(names('linear delta')).toContain('beta.weight');
  expect(names('tanh fwm')).toContain('valueToBeta.weight');
});

/** Two sequences of three pairs with two questions each, the last of which is no question. */
function questions(): RetrievalTensors {
  const ids = (numbers: number[], columns: number) => tf.tensor2d(numbers, [2, columns], 'int32');
  return {
    keys: ids([0, 1, 2, 5, 4, 3], 3),
    values: ids([1, 2, 3, 4, 5, 0], 3),
    queries: ids([0, 2, 3, 5], 2),
    targets: ids([1, 3, 0, 0], 2),
    mask: tf.tensor2d([1, 1, 1, 0], [2, 2]),
  };
}
