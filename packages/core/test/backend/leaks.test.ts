import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../src/backend/backend.ts';
import { dispose, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

/** Everything that a leak would show in. */
function allocated(): Record<string, number> {
  const { liveBytes, liveBlocks } = (tf.backend() as FwpBackend).engine.statistics();
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { liveBytes, liveBlocks, dataIds: tf.backend().numDataIds(), numTensors, numDataBuffers, numBytes };
}

/** One step of everything: layers, losses, indices, complex numbers, strings, fallbacks, higher derivatives. */
function step(variables: Record<'kernel' | 'filter' | 'table', tf.Variable>): void {
  const { kernel, filter, table } = variables;
  tf.tidy(() => {
    const { grads, value } = tf.variableGrads(() => {
      const images = tf.randomUniform([2, 6, 6, 1], -1, 1, 'float32', 7) as tf.Tensor4D;
      const features = tf.maxPool(
        tf.relu(tf.conv2d(images, filter as tf.Tensor4D, 1, 'same') as tf.Tensor4D),
        2,
        2,
        'valid',
      );
      const rows = tf.reshape(features, [2, 18]);
      const embedded = tf.gather(table, tf.tensor1d([0, 2], 'int32'));
      const hidden = tf.tanh(tf.matMul(tf.concat([rows, embedded], 1), kernel));
      const shares = tf.softmax(hidden);
      const best = tf.topk(shares, 2).values;
      const chosen = tf.where(tf.greater(hidden, 0), hidden, tf.mul(hidden, 0.1));
      const signal = tf.cumsum(
        tf.pad(tf.transpose(chosen), [
          [1, 0],
          [0, 1],
        ]),
        0,
      );
      return tf.add(tf.mean(tf.square(signal)), tf.sum(tf.log(best))) as tf.Scalar;
    });
    value.dataSync();
    for (const name of Object.keys(grads)) {
      const variable = [kernel, filter, table].find((v) => v.name === name) as tf.Variable;
      variable.assign(tf.sub(variable, tf.mul(grads[name] as tf.Tensor, 1e-3)));
    }
    tf.grad((x) => tf.sum(tf.grad((t) => tf.sum(tf.sigmoid(t)))(x)))(tf.tensor1d([0.1, 0.2]));
    const spectrum = tf.spectral.rfft(tf.tensor1d([1, 2, 3, 4]));
    tf.add(tf.real(spectrum), tf.imag(spectrum)).dataSync();
    tf.einsum('ij,kj->ik', tf.ones([2, 3]), tf.ones([4, 3]));
    tf.concat([tf.tensor1d(['a', 'b']), tf.tensor1d(['c'])]).dataSync();
    tf.unstack(
      tf.linalg.qr(
        tf.tensor2d([
          [1, 2],
          [3, 4],
        ]),
      )[0],
    );
    tf.erf(tf.cast(tf.oneHot(tf.tensor1d([1, 0], 'int32'), 3), 'float32'));
  });
}

/** Calls that must fail, and a part of what the message must say. */
const FAILURES: readonly [name: string, fail: () => unknown, message: RegExp][] = [
  ['matMul of sizes that do not fit', () => tf.matMul(tf.ones([2, 3]), tf.ones([2, 3])), /inner shapes|must match/],
  ['matMul of vectors', () => tf.matMul(tf.ones([3]), tf.ones([3])), /inner shapes|rank/],
  ['matMul of batches that do not broadcast', () => tf.matMul(tf.ones([2, 1, 3]), tf.ones([3, 3, 1])), /broadcast/],
  ['add of shapes that do not broadcast', () => tf.add(tf.ones([2, 3]), tf.ones([4])), /broadcast/],
  ['reshape to another size', () => tf.reshape(tf.ones([2, 3]), [4]), /same number of elements|must match|Size/],
  ['slice beyond the end', () => tf.slice(tf.ones([2, 3]), [1, 1], [2, 2]), /slice|size|bound/i],
  ['concat of shapes that do not fit', () => tf.concat([tf.ones([2, 3]), tf.ones([3, 2])], 0), /concat/i],
  ['gather of an index that is not there', () => tf.gather(tf.ones([2]), tf.tensor1d([5], 'int32')), /5|index|range/i],
  ['transpose with an axis twice', () => tf.transpose(tf.ones([2, 3]), [0, 0]), /perm|axis|axes|transpose/i],
  ['sum over an axis that is not there', () => tf.sum(tf.ones([2]), 3), /axis/i],
  ['split into unequal parts', () => tf.split(tf.ones([3]), 2), /split|even/i],
  [
    'conv2d of channels that do not fit',
    () => tf.conv2d(tf.ones<tf.Rank.R4>([1, 4, 4, 2]), tf.ones([2, 2, 3, 1]), 1, 'same'),
    /depth/i,
  ],
  [
    'einsum of sizes that do not fit',
    () => tf.einsum('ij,jk->ik', tf.ones([2, 3]), tf.ones([4, 5])),
    /dimension|size|match/i,
  ],
  [
    'a tensor that was disposed',
    () => {
      const x = tf.ones([2]);
      x.dispose();
      return tf.add(x, 1);
    },
    /disposed/,
  ],
  [
    'a gradient that does not exist',
    () => tf.grad((x) => tf.image.rotateWithOffset(x as tf.Tensor4D, 1))(tf.ones([1, 2, 2, 1])),
    /gradient/i,
  ],
  [
    'a fallback that throws',
    () =>
      tf.sparse.sparseReshape(
        tf.tensor2d([[9]], [1, 1], 'int32'),
        tf.tensor1d([4], 'int32'),
        tf.tensor1d([3], 'int32'),
      ),
    /./,
  ],
  ['more memory than there is', () => tf.zeros([2 ** 20, 2 ** 12]), /Out of memory/],
];

describe.each(await availableDevices())('memory on $name', ({ options }) => {
  beforeAll(async () => void (await init({ ...options, heapLimit: 2 ** 28 })));
  afterAll(dispose);

  it('stays flat over a thousand steps of everything', () => {
    const variables = tf.tidy(() => ({
      kernel: tf.variable(tf.randomNormal([20, 4], 0, 0.3, 'float32', 1)),
      filter: tf.variable(tf.randomNormal([3, 3, 1, 2], 0, 0.3, 'float32', 2)),
      table: tf.variable(tf.randomNormal([3, 2], 0, 0.3, 'float32', 3)),
    }));
    for (let i = 0; i < 10; i++) step(variables);
    const before = allocated();
    const { heapBytes } = (tf.backend() as FwpBackend).engine.statistics();
    for (let i = 0; i < 1000; i++) step(variables);
    expect(allocated()).toEqual(before);
    expect((tf.backend() as FwpBackend).engine.statistics().heapBytes).toBe(heapBytes);
    for (const variable of Object.values(variables)) expect(variable.dataSync().every(Number.isFinite)).toBe(true);
    tf.dispose(variables);
  });

  it.each(FAILURES)('%s: a clear error, and nothing stays allocated', (_, fail, message) => {
    const before = allocated();
    expect(() => tf.tidy(() => void fail())).toThrow(message);
    expect(allocated()).toEqual(before);
    // And the engine works on.
    expect(Array.from(tf.tidy(() => tf.add(tf.tensor1d([1, 2]), 1).dataSync()))).toEqual([2, 3]);
  });

  it('failing in the middle of a gradient leaves nothing behind', () => {
    const x = tf.tensor2d([
      [1, 2],
      [3, 4],
    ]);
    const before = allocated();
    const failing = tf.grad((t) => tf.sum(tf.matMul(tf.tanh(tf.mul(t, t)), tf.ones([3, 3]))));
    expect(() => tf.tidy(() => failing(x))).toThrow();
    expect(allocated()).toEqual(before);
    x.dispose();
  });

  it('tensors that were kept live until they are disposed', () => {
    const before = allocated();
    const kept = tf.tidy(() => tf.keep(tf.mul(tf.tensor1d([1, 2]), 3)));
    expect(Array.from(kept.dataSync())).toEqual([3, 6]);
    kept.dispose();
    expect(allocated()).toEqual(before);
  });
});
