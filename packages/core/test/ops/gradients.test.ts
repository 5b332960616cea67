import { assertAllClose } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { type Arrays, finiteDifferences } from './finite-differences.ts';

interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  /** Of one tensor or two. */
  readonly f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
  /** Values are spread over this interval; default −1.5 to 1.5. */
  readonly range?: readonly [number, number];
  /** Whether the second derivative is checked, too; default true. */
  readonly twice?: boolean;
  /** tfjs's CPU backend computes the operation itself wrongly. */
  readonly wrongOnCpu?: boolean;
  /** tfjs's WebGPU backend does, or refuses it: `docs/webgpu.md` says why. */
  readonly wrongOnGpu?: boolean;
}

const ints = (values: number[], shape = [values.length]): tf.Tensor => tf.tensor(values, shape, 'int32');
const mirror =
  (mode: 'reflect' | 'symmetric') =>
  (x: tf.Tensor): tf.Tensor =>
    tf.mirrorPad(
      tf.square(x),
      [
        [2, 1],
        [0, 2],
      ],
      mode,
    );

const cases: readonly Case[] = [
  // The output serves the gradient.
  { name: 'tanh', shapes: [[5]], f: (x) => tf.tanh(x) },
  { name: 'sigmoid', shapes: [[5]], f: (x) => tf.sigmoid(x) },
  { name: 'exp', shapes: [[5]], f: (x) => tf.exp(x) },
  { name: 'elu', shapes: [[6]], f: (x) => tf.elu(x) },
  { name: 'softmax', shapes: [[2, 3]], f: (x) => tf.softmax(x) },
  { name: 'logSoftmax', shapes: [[2, 3]], f: (x) => tf.logSoftmax(x), twice: false },
  {
    name: 'tanh of a matrix product',
    shapes: [
      [2, 3],
      [3, 2],
    ],
    f: (x, w) => tf.tanh(tf.matMul(x, w)),
  },
  { name: 'pow', shapes: [[4], [4]], f: (a, b) => tf.pow(a, b), range: [0.5, 2] },
  { name: 'pow with a broadcast base', shapes: [[1], [2, 2]], f: (a, b) => tf.pow(a, b), range: [0.5, 2] },
  { name: 'selu', shapes: [[6]], f: (x) => tf.selu(x) },
  { name: 'softplus', shapes: [[5]], f: (x) => tf.softplus(x) },
  { name: 'sqrt', shapes: [[5]], f: (x) => tf.sqrt(x), range: [0.5, 2] },
  { name: 'rsqrt', shapes: [[5]], f: (x) => tf.rsqrt(x), range: [0.5, 2] },
  { name: 'erf', shapes: [[5]], f: (x) => tf.erf(x) },
  { name: 'logSigmoid', shapes: [[5]], f: (x) => tf.logSigmoid(x) },
  { name: 'logSumExp', shapes: [[2, 3]], f: (x) => tf.logSumExp(x, 1) },
  { name: 'max', shapes: [[2, 3]], f: (x) => tf.max(tf.square(x), 1), range: [0.5, 2] },
  { name: 'relu', shapes: [[6]], f: (x) => tf.relu(tf.mul(x, tf.abs(x))) },
  { name: 'leakyRelu', shapes: [[6]], f: (x) => tf.leakyRelu(tf.mul(x, tf.abs(x))) },
  { name: 'prelu', shapes: [[2, 3], [3]], f: (x, alpha) => tf.prelu(x, alpha) },

  // Comparisons and truth values.
  {
    name: 'where with a comparison',
    shapes: [[6]],
    f: (x) => tf.where(tf.greater(x, 0), tf.square(x), tf.mul(x, -3)),
  },
  {
    name: 'logical combinations of comparisons',
    shapes: [[8]],
    f: (x) => {
      const inside = tf.logicalAnd(tf.lessEqual(x, 1), tf.logicalNot(tf.less(x, -1)));
      return tf.where(tf.logicalOr(inside, tf.notEqual(x, x)), tf.sin(x), tf.mul(x, x));
    },
  },
  {
    name: 'a mask as a factor',
    shapes: [[6]],
    f: (x) => tf.mul(tf.square(x), tf.cast(tf.greaterEqual(x, 0), 'float32')),
  },
  {
    name: 'where with a broadcast condition',
    shapes: [[2, 1], [3]],
    f: (a, b) => tf.where(tf.less(a, 0), tf.square(b), tf.mul(a, b)),
  },
  {
    name: 'one-hot of the largest',
    shapes: [[2, 3]],
    f: (x) => tf.mul(tf.oneHot(tf.argMax(x, 1) as tf.Tensor1D, 3), tf.square(x)),
  },
  { name: 'clipByValue', shapes: [[6]], f: (x) => tf.clipByValue(tf.mul(x, tf.abs(x)), -1, 1) },

  // Matrix products.
  ...(
    [
      ['vector of matrices times one matrix', [3, 2, 4], [4, 2]],
      ['vector of matrices times one of rank 3', [3, 2, 4], [1, 4, 2]],
      ['one matrix times a vector of matrices', [2, 4], [3, 4, 2]],
      ['batches that broadcast both ways', [2, 1, 2, 3], [3, 3, 2]],
      ['equal batches', [2, 2, 3], [2, 3, 2]],
    ] as const
  ).flatMap(([name, a, b]) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB) => ({
        name: `matMul: ${name}${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`,
        shapes: [transposeA ? swapped(a) : a, transposeB ? swapped(b) : b],
        f: (x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y, transposeA, transposeB),
        twice: !transposeA && transposeB,
        wrongOnCpu: name.includes('both ways'),
        wrongOnGpu: name.includes('both ways'),
      })),
    ),
  ),
  {
    name: 'einsum: product',
    shapes: [
      [2, 3],
      [3, 4],
    ],
    f: (a, b) => tf.einsum('ij,jk->ik', a, b),
  },
  {
    name: 'einsum: batched, transposed',
    shapes: [
      [2, 2, 3],
      [2, 2, 3],
    ],
    f: (a, b) => tf.einsum('bij,bkj->bki', a, b),
  },
  {
    name: 'einsum: sum over a letter of one operand',
    shapes: [[2, 3], [2]],
    f: (a, b) => tf.einsum('ij,i->i', a, b),
    wrongOnCpu: true,
    wrongOnGpu: true,
  },
  { name: 'einsum: outer product', shapes: [[2], [3]], f: (a, b) => tf.einsum('i,j->ij', a, b) },
  { name: 'einsum: transposition', shapes: [[2, 3]], f: (a) => tf.einsum('ij->ji', tf.square(a)) },

  // Broadcasting and reductions.
  { name: 'squaredDifference', shapes: [[2, 3], [3]], f: (a, b) => tf.squaredDifference(a, b) },
  {
    name: 'maximum',
    shapes: [
      [2, 3],
      [2, 1],
    ],
    f: (a, b) => tf.maximum(tf.square(a), tf.square(b)),
    range: [0.5, 3],
  },
  { name: 'minimum', shapes: [[3], [2, 3]], f: (a, b) => tf.minimum(tf.square(a), tf.square(b)), range: [0.5, 3] },
  { name: 'sum', shapes: [[2, 3, 2]], f: (x) => tf.sum(tf.square(x), [0, 2]) },
  { name: 'sum, keeping axes', shapes: [[2, 3]], f: (x) => tf.sum(tf.square(x), -1, true) },
  { name: 'sum of everything', shapes: [[2, 3]], f: (x) => tf.sum(tf.square(x)) },
  { name: 'mean', shapes: [[2, 3, 2]], f: (x) => tf.mean(tf.square(x), [1]) },
  { name: 'mean of everything', shapes: [[2, 3]], f: (x) => tf.mean(tf.square(x)) },
  { name: 'moments', shapes: [[3, 2]], f: (x) => tf.moments(x, 0).variance },
  { name: 'tile', shapes: [[2, 3]], f: (x) => tf.tile(tf.square(x), [3, 2]) },
  {
    name: 'tile of rank 5',
    shapes: [[1, 2, 1, 2, 1]],
    f: (x) => tf.tile(tf.square(x), [2, 1, 3, 2, 1]),
    wrongOnGpu: true,
  },
  { name: 'broadcastTo', shapes: [[2, 1]], f: (x) => tf.broadcastTo(tf.square(x), [3, 2, 2]) },

  // Scans.
  { name: 'cumsum along the first axis', shapes: [[3, 2]], f: (x) => tf.cumsum(tf.square(x), 0) },
  { name: 'cumsum along a middle axis', shapes: [[2, 3, 2]], f: (x) => tf.cumsum(tf.square(x), 1, true, true) },
  ...[false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => ({
      name: `cumprod${exclusive ? ', exclusive' : ''}${reverse ? ', reversed' : ''}`,
      shapes: [[2, 5, 2]],
      f: (x: tf.Tensor) => tf.cumprod(x, 1, exclusive, reverse),
    })),
  ),
  { name: 'prod', shapes: [[2, 3, 2]], f: (x) => tf.prod(x, [0, 2]) },
  { name: 'prod of everything', shapes: [[2, 2]], f: (x) => tf.prod(x) },

  // Picking and placing.
  { name: 'gather with repeated indices', shapes: [[4, 2]], f: (x) => tf.gather(tf.square(x), ints([3, 0, 3])) },
  { name: 'gather along the last axis', shapes: [[2, 4]], f: (x) => tf.gather(tf.square(x), ints([3, 0, 3]), -1) },
  {
    name: 'gather along a middle axis with a matrix of indices',
    shapes: [[2, 3, 2]],
    f: (x) => tf.gather(tf.square(x), ints([2, 0, 1, 2], [2, 2]) as tf.Tensor1D, 1),
  },
  {
    name: 'gather with a batch dimension',
    shapes: [[2, 3, 2]],
    f: (x) => tf.gather(tf.square(x), ints([2, 0, 1, 1], [2, 2]) as tf.Tensor1D, 1, 1),
  },
  {
    name: 'gather with a batch dimension and an axis in between',
    shapes: [[2, 2, 3]],
    f: (x) => tf.gather(tf.square(x), ints([2, 0, 1, 1], [2, 2]) as tf.Tensor1D, 2, 1),
  },
  {
    name: 'gatherND',
    shapes: [[2, 3, 2]],
    f: (x) => tf.gatherND(tf.square(x), ints([0, 1, 1, 2, 0, 1], [3, 2])),
  },
  {
    name: 'scatterND',
    shapes: [[3, 2]],
    f: (x) => tf.scatterND(ints([4, 1, 1], [3, 1]), tf.square(x), [5, 2]),
  },
  {
    name: 'tensorScatterUpdate',
    shapes: [
      [4, 2],
      [2, 2],
    ],
    f: (x, updates) => tf.tensorScatterUpdate(tf.square(x), ints([3, 1], [2, 1]), tf.square(updates)),
  },
  {
    name: 'sparseToDense',
    shapes: [[2], []],
    f: (values, other) => tf.sparseToDense(ints([1, 3]), tf.square(values), [5], tf.square(other) as tf.Scalar),
  },
  { name: 'topk', shapes: [[2, 4]], f: (x) => tf.topk(tf.square(x), 2).values, range: [0.5, 2] },
  {
    name: 'unsortedSegmentSum',
    shapes: [[4, 2]],
    f: (x) => tf.unsortedSegmentSum(tf.square(x), ints([2, 0, 2, 1]) as tf.Tensor1D, 4),
  },
  {
    name: 'bincount with weights',
    shapes: [[4]],
    f: (weights) => tf.bincount(ints([2, 0, 2, 1]) as tf.Tensor1D, tf.square(weights) as tf.Tensor1D, 3),
  },
  {
    name: 'sparseSegmentSum',
    shapes: [[4, 2]],
    f: (x) => tf.sparse.sparseSegmentSum(tf.square(x), ints([3, 1, 1]) as tf.Tensor1D, ints([0, 0, 1]) as tf.Tensor1D),
  },
  {
    name: 'sparseSegmentMean',
    shapes: [[4, 2]],
    f: (x) => tf.sparse.sparseSegmentMean(tf.square(x), ints([3, 1, 1]) as tf.Tensor1D, ints([0, 0, 1]) as tf.Tensor1D),
  },

  // Moving.
  { name: 'stridedSlice', shapes: [[7, 3]], f: (x) => tf.stridedSlice(tf.square(x), [1, 0], [7, 3], [3, 2]) },
  { name: 'stridedSlice backwards', shapes: [[7]], f: (x) => tf.stridedSlice(tf.square(x), [-2], [0], [-2]) },
  {
    name: 'stridedSlice with a new and a dropped axis',
    shapes: [[3, 4]],
    f: (x) => tf.stridedSlice(tf.square(x), [1, 0, 0], [2, 1, 3], [1, 1, 2], 0, 0, 0, 2, 1),
    wrongOnCpu: true,
    wrongOnGpu: true,
  },
  { name: 'mirrorPad, reflected', shapes: [[3, 4]], f: mirror('reflect') },
  { name: 'mirrorPad, symmetric', shapes: [[3, 4]], f: mirror('symmetric') },
  {
    name: 'pad',
    shapes: [[2, 2]],
    f: (x) =>
      tf.pad(tf.square(x), [
        [1, 0],
        [0, 2],
      ]),
  },
  { name: 'depthToSpace', shapes: [[1, 2, 1, 8]], f: (x) => tf.depthToSpace(tf.square(x) as tf.Tensor4D, 2, 'NHWC') },
  { name: 'diag', shapes: [[2, 2]], f: (x) => tf.diag(tf.square(x)) },
  { name: 'flipLeftRight', shapes: [[1, 2, 3, 1]], f: (x) => tf.image.flipLeftRight(tf.square(x) as tf.Tensor4D) },

  // Windows.
  {
    name: 'conv2d',
    shapes: [
      [1, 4, 3, 2],
      [2, 2, 2, 2],
    ],
    f: (x, w) => tf.tanh(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, [2, 1], 'same')),
  },
  {
    name: 'conv2d with dilation',
    shapes: [
      [2, 5, 4, 2],
      [2, 3, 2, 2],
    ],
    f: (x, w) => tf.tanh(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same', 'NHWC', [2, 1])),
  },
  {
    name: 'conv2d with dilation and explicit padding',
    shapes: [
      [1, 4, 3, 1],
      [2, 2, 1, 2],
    ],
    f: (x, w) =>
      tf.tanh(
        tf.conv2d(
          x as tf.Tensor4D,
          w as tf.Tensor4D,
          1,
          [
            [0, 0],
            [3, 0],
            [1, 2],
            [0, 0],
          ],
          'NHWC',
          2,
        ),
      ),
  },
  {
    name: 'conv1d with dilation',
    shapes: [
      [2, 7, 2],
      [2, 2, 1],
    ],
    f: (x, w) => tf.tanh(tf.conv1d(x as tf.Tensor3D, w as tf.Tensor3D, 1, 'valid', 'NWC', 3)),
  },
  {
    name: 'depthwiseConv2d',
    shapes: [
      [1, 3, 3, 2],
      [2, 2, 2, 1],
    ],
    f: (x, w) => tf.tanh(tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same')),
  },
  {
    name: 'conv3d',
    shapes: [
      [1, 2, 2, 3, 1],
      [1, 2, 2, 1, 2],
    ],
    f: (x, w) => tf.tanh(tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 1, 'valid')),
  },
  { name: 'avgPool', shapes: [[1, 3, 4, 1]], f: (x) => tf.tanh(tf.avgPool(x as tf.Tensor4D, 2, 1, 'same')) },
  { name: 'maxPool', shapes: [[2, 3, 4, 1]], f: (x) => tf.tanh(tf.maxPool(x as tf.Tensor4D, 2, 2, 'same')) },
  {
    name: 'maxPoolWithArgmax',
    shapes: [[2, 3, 4, 1]],
    f: (x) => tf.tanh(tf.maxPoolWithArgmax(x as tf.Tensor4D, 2, 2, 'same').result as tf.Tensor),
  },
  {
    name: 'resizeBilinear',
    shapes: [[1, 2, 2, 1]],
    f: (x) => tf.tanh(tf.image.resizeBilinear(x as tf.Tensor4D, [3, 4])),
  },
  {
    name: 'resizeNearestNeighbor',
    shapes: [[1, 2, 2, 1]],
    f: (x) => tf.tanh(tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [3, 4])),
  },
];

function swapped(shape: readonly number[]): number[] {
  return [...shape.slice(0, -2), shape.at(-1) as number, shape.at(-2) as number];
}

/** Values spread evenly over a range in a fixed, mixed order, so that no two are close and none is close to zero. */
function inputs({ shapes, range: [low, high] = [-1.5, 1.5] }: Case): Arrays {
  const sizes = shapes.map((shape) => shape.reduce((product, extent) => product * extent, 1));
  const total = sizes.reduce((sum, size) => sum + size, 0) | 1;
  const stride = [7, 11, 13].find((prime) => total % prime !== 0) as number;
  let position = 0;
  return sizes.map((size) =>
    Float32Array.from({ length: size }, () => {
      const rank = (position++ * stride + 3) % total;
      const value = low + ((high - low) * (rank + 0.75)) / (total + 0.5);
      return Math.abs(value) < 0.06 ? 0.09 : value;
    }),
  );
}

/** Fixed numbers between −1 and 1: the upstream gradient. */
function weights(shape: number[], phase: number): Float32Array {
  return Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => Math.cos(1.7 * i + phase));
}

function toTensors(xs: Arrays, { shapes }: Case): tf.Tensor[] {
  return xs.map((x, i) => tf.tensor(x, [...(shapes[i] as number[])], 'float32'));
}

function apply({ f }: Case, xs: tf.Tensor[]): tf.Tensor {
  return f(xs[0] as tf.Tensor, xs[1] as tf.Tensor);
}

/** Σ weights · f(x) in double precision. */
function loss(example: Case, xs: Arrays): number {
  return tf.tidy(() => {
    const y = apply(example, toTensors(xs, example));
    const w = weights(y.shape, 0.3);
    return (y.dataSync() as Float32Array).reduce((sum, value, i) => sum + value * (w[i] as number), 0);
  });
}

/** ∂ Σ weights · f(x) / ∂x by the tape. */
function gradients(example: Case, xs: tf.Tensor[]): tf.Tensor[] {
  const f = (...args: tf.Tensor[]): tf.Tensor => {
    const y = apply(example, args);
    return tf.sum(tf.mul(y, tf.tensor(weights(y.shape, 0.3), y.shape)));
  };
  return tf.grads(f)(xs);
}

/** Σ weights · gradient: what is differentiated for the second derivative. */
function gradientSum(example: Case, xs: tf.Tensor[]): tf.Tensor {
  const parts = gradients(example, xs).map((g, i) => tf.sum(tf.mul(g, tf.tensor(weights(g.shape, 1.1 + i), g.shape))));
  return tf.addN(parts);
}

interface Expected {
  readonly first: number[][];
  readonly second: number[][] | undefined;
}

const expected = new Map<Case, Expected>();

beforeAll(async () => {
  await init({ device: 'wasm', threads: 1 });
  for (const example of cases) {
    const xs = inputs(example);
    const first = finiteDifferences((at) => loss(example, at), xs);
    const sum = (at: Arrays): number =>
      tf.tidy(() => gradientSum(example, toTensors(at, example)).dataSync()[0] as number);
    expected.set(example, { first, second: example.twice === false ? undefined : finiteDifferences(sum, xs) });
  }
});
afterAll(dispose);

const devices = [...(await availableDevices()), ...composedDevices];

describe.each(devices)('gradients on $name', ({ name, options }) => {
  beforeAll(async () => void (await init(options)));

  it.each(cases.filter(({ wrongOnCpu, wrongOnGpu }) => !{ 'tfjs-cpu': wrongOnCpu, webgpu: wrongOnGpu }[name]))(
    '$name agrees with finite differences, once and twice',
    (example) => {
      const { first, second } = expected.get(example) as Expected;
      const xs = inputs(example);
      const tensorsBefore = tf.memory().numTensors;
      tf.tidy(() => {
        gradients(example, toTensors(xs, example)).forEach((g, i) => {
          assertAllClose(g.dataSync(), first[i] as number[], { rtol: 2e-3, atol: 2e-3, name: `input ${i}` });
        });
        if (second === undefined) return;
        tf.grads((...args: tf.Tensor[]) => gradientSum(example, args))(toTensors(xs, example)).forEach((g, i) => {
          assertAllClose(g.dataSync(), second[i] as number[], { rtol: 5e-3, atol: 5e-3, name: `second, input ${i}` });
        });
      });
      expect(tf.memory().numTensors).toBe(tensorsBefore);
    },
  );

  const x = [-2, -0.5, 0.25, 1, 3];
  const derivatives: Record<string, { f: (x: tf.Tensor) => tf.Tensor; closed: ((x: number) => number)[] }> = {
    tanh: {
      f: (t) => tf.tanh(t),
      closed: [
        (v) => 1 - Math.tanh(v) ** 2,
        (v) => -2 * Math.tanh(v) * (1 - Math.tanh(v) ** 2),
        (v) => (1 - Math.tanh(v) ** 2) * (6 * Math.tanh(v) ** 2 - 2),
      ],
    },
    sigmoid: { f: (t) => tf.sigmoid(t), closed: logistic() },
    exp: { f: (t) => tf.exp(t), closed: [Math.exp, Math.exp, Math.exp] },
    'the first of softmax([x, 0])': {
      f: (t) => tf.slice(tf.softmax(tf.stack([t, tf.zerosLike(t)], 1)), [0, 0], [-1, 1]),
      closed: logistic(),
    },
    elu: {
      f: (t) => tf.elu(t),
      closed: [(v) => (v > 0 ? 1 : Math.exp(v)), (v) => (v > 0 ? 0 : Math.exp(v)), (v) => (v > 0 ? 0 : Math.exp(v))],
    },
  };

  it.each(Object.entries(derivatives))(
    'the first three derivatives of %s have their closed forms',
    (_, { f, closed }) => {
      let derivative: (t: tf.Tensor) => tf.Tensor = (t) => tf.sum(f(t));
      closed.forEach((form, order) => {
        const inner = tf.grad(derivative);
        derivative = (t) => tf.sum(inner(t));
        const values = tf.tidy(() => inner(tf.tensor1d(x)).dataSync());
        assertAllClose(values, x.map(form), { rtol: 1e-4, atol: 1e-5, name: `derivative ${order + 1}` });
      });
    },
  );

  it('what has no elements has a gradient without elements', () => {
    for (const axis of [undefined, 0, 1]) {
      for (const f of [tf.sum, tf.mean]) {
        expect(tf.tidy(() => tf.grad((t) => tf.sum(f(t, axis)))(tf.zeros([0, 3])).shape)).toEqual([0, 3]);
      }
    }
    tf.tidy(() => {
      const product = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.matMul(a, b));
      const [da, db] = tf.grads(product)([tf.ones([1, 2, 3]), tf.zeros([1, 3, 0])]) as [tf.Tensor, tf.Tensor];
      expect([da.shape, db.shape]).toEqual([
        [1, 2, 3],
        [1, 3, 0],
      ]);
    });
  });

  it('the first derivative saves no input that only a second one needs', () => {
    const saved = (nested: boolean): number => {
      let count = 0;
      const f = (t: tf.Tensor): tf.Tensor => {
        const before = tf.memory().numTensors;
        const y = tf.tanh(t);
        count = tf.memory().numTensors - before;
        return tf.sum(y);
      };
      tf.tidy(() => (nested ? tf.grad((t) => tf.sum(tf.grad(f)(t))) : tf.grad(f))(tf.tensor1d(x)));
      return count;
    };
    expect(saved(false)).toBe(2); // the result and its saved copy
    expect(saved(true)).toBe(3);
  });

  it('cumprod and prod differentiate through zeros', () => {
    tf.tidy(() => {
      const row = tf.tensor1d([2, 0, 3, 0, 5]);
      // y = 2, 0, 0, 0, 0
      assertAllClose(
        tf
          .grad((t) => tf.sum(tf.cumprod(t, 0)))(row)
          .dataSync(),
        [1, 2 + 6, 0, 0, 0],
      );
      assertAllClose(
        tf
          .grad((t) => tf.prod(t))(tf.tensor1d([2, 0, 3]))
          .dataSync(),
        [0, 6, 0],
      );
    });
  });

  it.each([false, true])('cumprod has the same gradients whatever the size of a place, exclusive: %s', (exclusive) => {
    tf.tidy(() => {
      const columns = 1100;
      const x = tf.tensor2d([2, 0, 3, -1, 0.5, 4], [3, 2]);
      const wide = tf.tile(tf.reshape(x, [3, 1, 2]), [1, columns, 1]);
      for (const reverse of [false, true]) {
        const y = (t: tf.Tensor) => tf.sum(tf.square(tf.cumprod(t, 0, exclusive, reverse)));
        const first = tf.grad(y);
        const second = tf.grad((t: tf.Tensor) => tf.sum(tf.pow(first(t), 3)));
        for (const gradient of [first, second]) {
          const found = tf.unstack(gradient(wide), 1) as tf.Tensor[];
          for (const column of [found[0], found[columns - 1]]) {
            assertAllClose(column!.dataSync(), gradient(x).dataSync());
          }
        }
      }
    });
  });

  it('an infinite gradient stays on its side of where', () => {
    tf.tidy(() => {
      const gradient = tf.grad((t) => tf.sum(tf.sqrt(tf.where(tf.greater(t, 0), tf.mul(t, 4), tf.zerosLike(t)))));
      const [positive, negative] = gradient(tf.tensor1d([1, -1])).dataSync();
      expect(positive).toBeCloseTo(1, 5);
      expect(negative).toBe(0);
    });
  });

  it('comparisons of integers and truth values have zero gradients', () => {
    tf.tidy(() => {
      const f = (t: tf.Tensor): tf.Tensor => {
        const whole = tf.cast(t, 'int32');
        const mask = tf.logicalXor(tf.equal(whole, tf.scalar(1, 'int32')), tf.any(tf.less(t, 0)));
        return tf.sum(tf.where(mask, t, tf.mul(t, 2)));
      };
      expect(
        Array.from(
          tf
            .grad(f)(tf.tensor1d([1.5, 2.5, 0.5]))
            .dataSync(),
        ),
      ).toEqual([1, 2, 2]);
    });
  });
});

/** The derivatives of the logistic function. */
function logistic(): ((x: number) => number)[] {
  const s = (v: number): number => 1 / (1 + Math.exp(-v));
  return [
    (v) => s(v) * (1 - s(v)),
    (v) => s(v) * (1 - s(v)) * (1 - 2 * s(v)),
    (v) => s(v) * (1 - s(v)) * (1 - 6 * s(v) + 6 * s(v) ** 2),
  ];
}
