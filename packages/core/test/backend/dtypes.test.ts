import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../src/backend/backend.ts';
import { dispose, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

type Dtype = 'float32' | 'int32' | 'bool' | 'complex64' | 'string';

/** Six distinct elements of each dtype, as `tf.tensor` takes them and as `dataSync` gives them back. */
const elements: Record<Dtype, { given: () => tf.Tensor; read: unknown[] }> = {
  float32: {
    given: () => tf.tensor([1.5, -2, 0, Number.NaN, Infinity, 3e38], [2, 3]),
    read: [1.5, -2, 0, Number.NaN, Infinity, Math.fround(3e38)],
  },
  int32: {
    given: () => tf.tensor([1, -2, 0, 2147483647, -2147483648, 7], [2, 3], 'int32'),
    read: [1, -2, 0, 2147483647, -2147483648, 7],
  },
  bool: { given: () => tf.tensor([true, false, true, true, false, false], [2, 3], 'bool'), read: [1, 0, 1, 1, 0, 0] },
  complex64: {
    given: () =>
      tf.tidy(() => tf.complex(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), tf.tensor2d([-1, 0, 1, 2, 3, 4], [2, 3]))),
    read: [1, -1, 2, 0, 3, 1, 4, 2, 5, 3, 6, 4],
  },
  string: {
    given: () => tf.tensor(['a', '', 'grüße', '日本', '𝄞', 'f'], [2, 3], 'string'),
    read: ['a', '', 'grüße', '日本', '𝄞', 'f'],
  },
};

/** The elements at flat positions of the 2 × 3 tensor. */
function pick(dtype: Dtype, positions: number[]): unknown[] {
  const { read } = elements[dtype];
  return positions.flatMap((i) => (dtype === 'complex64' ? read.slice(2 * i, 2 * i + 2) : [read[i]]));
}

function valuesOf(x: tf.Tensor): unknown[] {
  return Array.from(x.dataSync() as ArrayLike<unknown>);
}

function liveBytes(): number {
  return (tf.backend() as FwpBackend).engine.statistics().liveBytes;
}

describe.each(await availableDevices())('dtypes on $name', ({ options }) => {
  beforeAll(async () => void (await init(options)));
  afterAll(dispose);

  describe.each(Object.keys(elements) as Dtype[])('%s', (dtype) => {
    const { given, read } = elements[dtype];
    /** Runs an operation on the 2 × 3 tensor, compares, and checks that nothing stays allocated. */
    const check = (
      run: (x: tf.Tensor) => tf.Tensor,
      shape: number[],
      expected: unknown[],
      resultDtype: string = dtype,
    ): void => {
      const [bytes, tensors, data] = [liveBytes(), tf.memory().numTensors, tf.memory().numDataBuffers];
      tf.tidy(() => {
        const y = run(given());
        expect(y.shape).toEqual(shape);
        expect(y.dtype).toBe(resultDtype);
        expect(valuesOf(y)).toEqual(expected);
      });
      expect(liveBytes()).toBe(bytes);
      expect([tf.memory().numTensors, tf.memory().numDataBuffers]).toEqual([tensors, data]);
    };

    it('is read as it was written', async () => {
      check((x) => x, [2, 3], read);
      const x = given();
      expect(Array.from((await x.data()) as ArrayLike<unknown>)).toEqual(read);
      x.dispose();
    });

    it('keeps its elements when cloned and reshaped', () => {
      check((x) => tf.clone(x), [2, 3], read);
      check((x) => tf.reshape(x, [3, 1, 2]), [3, 1, 2], read);
      check((x) => tf.expandDims(x, 1), [2, 1, 3], read);
      check((x) => tf.squeeze(tf.reshape(x, [1, 6])), [6], read);
    });

    it('outlives the tensor that it shares data with', () => {
      const x = given();
      const y = tf.reshape(x, [6]);
      x.dispose();
      expect(valuesOf(y)).toEqual(read);
      y.dispose();
    });

    it('can be concatenated', () => {
      check((x) => tf.concat([x, x], 1), [2, 6], pick(dtype, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]));
      check((x) => tf.concat([x, x], 0), [4, 3], [...read, ...read]);
    });

    // tfjs rearranges complex numbers by their halves.
    it.skipIf(dtype === 'complex64')('can be sliced, stacked, taken apart and tiled', () => {
      check((x) => tf.slice(x, [0, 1], [2, 2]), [2, 2], pick(dtype, [1, 2, 4, 5]));
      check((x) => tf.stack([x, x]), [2, 2, 3], [...read, ...read]);
      check((x) => tf.unstack(x)[1] as tf.Tensor, [3], pick(dtype, [3, 4, 5]));
      check((x) => tf.tile(tf.slice(x, 0, 1), [2, 1]), [2, 3], pick(dtype, [0, 1, 2, 0, 1, 2]));
    });

    it.skipIf(dtype === 'complex64' || dtype === 'string')('can be gathered, reversed, transposed and split', () => {
      check((x) => tf.transpose(x), [3, 2], pick(dtype, [0, 3, 1, 4, 2, 5]));
      check((x) => tf.split(x, 3, 1)[1] as tf.Tensor, [2, 1], pick(dtype, [1, 4]));
      check((x) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32'), 1), [2, 3], pick(dtype, [2, 0, 2, 5, 3, 5]));
      check((x) => tf.reverse(x, 1), [2, 3], pick(dtype, [2, 1, 0, 5, 4, 3]));
    });

    it('exists with no elements and with one', () => {
      if (dtype === 'complex64') {
        check(() => tf.tidy(() => tf.complex(tf.zeros([0, 3]), tf.zeros([0, 3]))), [0, 3], []);
        check(() => tf.tidy(() => tf.complex(2, 3)), [], [2, 3]);
      } else {
        check((x) => tf.slice(x, [0, 0], [0, 0]), [0, 0], []);
        check((x) => tf.slice(x, [1, 0], [0, 3]), [0, 3], []);
        check((x) => tf.reshape(tf.slice(x, [1, 1], [1, 1]), []), [], pick(dtype, [4]));
      }
    });

    // tfjs counts complex numbers by their halves, and strings by their text.
    it.skipIf(dtype === 'complex64' || dtype === 'string')('counts its bytes in tf.memory()', () => {
      const before = tf.memory().numBytes;
      const x = given();
      expect(tf.memory().numBytes - before).toBe(dtype === 'bool' ? 6 : 24);
      x.dispose();
      expect(tf.memory().numBytes).toBe(before);
    });
  });

  it('casts between dtypes as tfjs does', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-1.9, 0, 0.4, 2.6]);
      expect(valuesOf(tf.cast(x, 'int32'))).toEqual([-1, 0, 0, 2]);
      expect(valuesOf(tf.cast(x, 'bool'))).toEqual([1, 0, 1, 1]);
      expect(valuesOf(tf.cast(tf.cast(x, 'bool'), 'float32'))).toEqual([1, 0, 1, 1]);
      expect(valuesOf(tf.cast(tf.tensor1d([3, -4], 'int32'), 'complex64'))).toEqual([3, 0, -4, 0]);
      expect(valuesOf(tf.cast(tf.complex([1.5, 2], [3, 4]), 'float32'))).toEqual([1.5, 2]);
    });
  });

  it('the halves of a complex tensor live as long as somebody needs them', () => {
    const bytes = liveBytes();
    const real = tf.tensor1d([1, 2]);
    const imag = tf.tensor1d([3, 4]);
    const z = tf.complex(real, imag);
    real.dispose();
    imag.dispose();
    const again = tf.imag(z);
    z.dispose();
    expect(valuesOf(again)).toEqual([3, 4]);
    again.dispose();
    expect(liveBytes()).toBe(bytes);
  });

  it('takes tensors over from another backend', async () => {
    for (const dtype of Object.keys(elements) as Dtype[]) {
      const { given, read } = elements[dtype];
      await tf.setBackend('cpu');
      const there = given();
      await tf.setBackend('fwp');
      const here = tf.tidy(() => tf.concat([there, given()], 0));
      expect(valuesOf(here)).toEqual([...read, ...read]);
      tf.dispose([here, there]);
    }
  });

  // tfjs's CPU backend takes no complex tensors over.
  it.each(['float32', 'int32', 'bool', 'string'] as const)(
    'hands %s tensors over to another backend',
    async (dtype) => {
      const { given, read } = elements[dtype];
      const bytes = liveBytes();
      const here = given();
      const alias = tf.reshape(here, [6]);
      await tf.setBackend('cpu');
      const there = tf.tidy(() => tf.concat([here, tf.reshape(alias, [2, 3])], 0));
      expect(valuesOf(there)).toEqual([...read, ...read]);
      tf.dispose([here, alias, there]);
      await tf.setBackend('fwp');
      expect(liveBytes()).toBe(bytes);
    },
  );
});
