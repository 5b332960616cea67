/**
 * Random calls of tfjs's public operations, on this backend and on tfjs's CPU backend: the same shapes, dtypes and
 * values, or an error on both. Shapes have 0 to 6 dimensions, and dimensions of size 0 occur.
 */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

type Dtype = 'float32' | 'int32' | 'bool';

/** A tensor to be made on either backend. */
interface Operand {
  readonly shape: number[];
  readonly dtype: Dtype;
  readonly values: number[];
}

/** A call of an operation; `name` describes it in messages. */
interface Call {
  readonly name: string;
  readonly operands: readonly Operand[];
  run(...tensors: tf.Tensor[]): tf.Tensor | tf.Tensor[];
  /** Tolerance relative to 1 + |expected|; default 0. */
  readonly tolerance?: number;
}

type Outcome = { shape: number[]; dtype: string; values: number[] }[] | Error;

// ---- random operands ---------------------------------------------------------------------------------

const extent = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 4 }), weight: 12 },
  { arbitrary: fc.constant(0), weight: 1 },
);
const shapes = fc.array(extent, { maxLength: 6 }).filter((shape) => tf.util.sizeFromShape(shape) <= 400);
const shapesOfRank = (min: number, max = 6): fc.Arbitrary<number[]> =>
  shapes.filter(({ length }) => length >= min && length <= max);

const floats = fc.oneof(
  { arbitrary: fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround), weight: 8 },
  { arbitrary: fc.integer({ min: -3, max: 3 }), weight: 6 },
  { arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity), weight: 1 },
);
/** Without NaN and infinities, for operations whose treatment of them tfjs leaves open. */
const finite = fc.oneof(fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround), fc.integer({ min: -3, max: 3 }));
const values = { float32: floats, int32: fc.integer({ min: -20, max: 20 }), bool: fc.integer({ min: 0, max: 1 }) };
const anyDtype = fc.constantFrom<Dtype>('float32', 'int32', 'bool');
const numeric = fc.constantFrom<Dtype>('float32', 'int32');

function operand(shape: number[], dtype: Dtype, elements: fc.Arbitrary<number> = values[dtype]): fc.Arbitrary<Operand> {
  const length = tf.util.sizeFromShape(shape);
  return fc.array(elements, { minLength: length, maxLength: length }).map((drawn) => ({ shape, dtype, values: drawn }));
}

function operandOf(
  shapesWanted: fc.Arbitrary<number[]>,
  dtypes: fc.Arbitrary<Dtype> = numeric,
  elements?: fc.Arbitrary<number>,
): fc.Arbitrary<Operand> {
  return fc.tuple(shapesWanted, dtypes).chain(([shape, dtype]) => operand(shape, dtype, elements));
}

/** Two operands that broadcast against each other. */
function broadcasting(dtypes: fc.Arbitrary<Dtype>): fc.Arbitrary<[Operand, Operand]> {
  return fc
    .tuple(shapes, fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 }), fc.nat(6), dtypes, dtypes)
    .chain(([shape, ones, drop, dtypeA, dtypeB]) => {
      const a = shape.map((n, i) => (ones[i] === 0 ? 1 : n));
      const b = shape.map((n, i) => (ones[i] === 1 ? 1 : n)).slice(Math.min(drop, shape.length));
      return fc.boolean().chain((swap) => fc.tuple(operand(swap ? b : a, dtypeA), operand(swap ? a : b, dtypeB)));
    });
}

const axesOf = (rank: number): fc.Arbitrary<number[]> =>
  fc.subarray(
    Array.from({ length: rank }, (_, i) => i),
    { minLength: Math.min(1, rank) },
  );

// ---- families of operations --------------------------------------------------------------------------

/** Functions of one float tensor with a tolerance: tfjs computes them in double precision. */
const FUNCTIONS: Record<string, [(x: tf.Tensor) => tf.Tensor, tolerance: number]> = {
  abs: [tf.abs, 0],
  neg: [tf.neg, 0],
  sign: [tf.sign, 0],
  square: [tf.square, 0],
  floor: [tf.floor, 0],
  ceil: [tf.ceil, 0],
  round: [tf.round, 0],
  relu: [tf.relu, 0],
  relu6: [tf.relu6, 0],
  step: [(x) => tf.step(x, 0.3), 0],
  isNaN: [tf.isNaN, 0],
  isInf: [tf.isInf, 0],
  isFinite: [tf.isFinite, 0],
  clipByValue: [(x) => tf.clipByValue(x, -1, 2), 0],
  zerosLike: [tf.zerosLike, 0],
  onesLike: [tf.onesLike, 0],
  leakyRelu: [(x) => tf.leakyRelu(x, 0.1), 1e-6],
  reciprocal: [tf.reciprocal, 1e-6],
  sqrt: [tf.sqrt, 1e-6],
  rsqrt: [tf.rsqrt, 1e-6],
  exp: [tf.exp, 1e-5],
  expm1: [tf.expm1, 1e-5],
  log: [tf.log, 1e-5],
  log1p: [tf.log1p, 1e-5],
  sin: [tf.sin, 1e-5],
  cos: [tf.cos, 1e-5],
  tan: [tf.tan, 1e-3],
  asin: [tf.asin, 1e-5],
  acos: [tf.acos, 1e-5],
  atan: [tf.atan, 1e-5],
  sinh: [tf.sinh, 1e-5],
  cosh: [tf.cosh, 1e-5],
  tanh: [tf.tanh, 1e-5],
  asinh: [tf.asinh, 1e-4],
  acosh: [tf.acosh, 1e-5],
  atanh: [tf.atanh, 1e-5],
  erf: [tf.erf, 1e-5],
  sigmoid: [tf.sigmoid, 1e-5],
  logSigmoid: [tf.logSigmoid, 1e-5],
  softplus: [tf.softplus, 1e-5],
  elu: [tf.elu, 1e-5],
  selu: [tf.selu, 1e-5],
};

const unaryCalls = fc
  .tuple(fc.constantFrom(...Object.keys(FUNCTIONS)), operandOf(shapes, anyDtype))
  .map(([name, x]): Call => {
    const [run, tolerance] = FUNCTIONS[name] as [(x: tf.Tensor) => tf.Tensor, number];
    return { name, operands: [x], run, tolerance };
  });

const ARITHMETIC: Record<string, [(a: tf.Tensor, b: tf.Tensor) => tf.Tensor, tolerance: number]> = {
  add: [tf.add, 0],
  sub: [tf.sub, 0],
  mul: [tf.mul, 0],
  maximum: [tf.maximum, 0],
  minimum: [tf.minimum, 0],
  div: [tf.div, 1e-6],
  floorDiv: [tf.floorDiv, 0],
  mod: [tf.mod, 1e-5],
  squaredDifference: [tf.squaredDifference, 1e-6],
  atan2: [tf.atan2, 1e-5],
};
const COMPARISONS: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
  equal: tf.equal,
  notEqual: tf.notEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
};
const LOGICAL: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
  logicalAnd: tf.logicalAnd,
  logicalOr: tf.logicalOr,
  logicalXor: tf.logicalXor,
};

const binaryCalls = fc.oneof(
  fc.tuple(fc.constantFrom(...Object.keys(ARITHMETIC)), broadcasting(numeric)).map(([name, operands]): Call => {
    const [run, tolerance] = ARITHMETIC[name] as [(a: tf.Tensor, b: tf.Tensor) => tf.Tensor, number];
    return { name, operands, run, tolerance };
  }),
  fc
    .tuple(fc.constantFrom(...Object.keys(COMPARISONS)), broadcasting(anyDtype))
    .map(([name, operands]): Call => ({ name, operands, run: COMPARISONS[name] as Call['run'] })),
  fc
    .tuple(fc.constantFrom(...Object.keys(LOGICAL)), broadcasting(fc.constant<Dtype>('bool')))
    .map(([name, operands]): Call => ({ name, operands, run: LOGICAL[name] as Call['run'] })),
  fc.tuple(broadcasting(numeric), operandOf(shapes, fc.constant('bool'))).map(
    ([[a, b], condition]): Call => ({
      name: 'where',
      operands: [condition, a, b],
      run: (c, x, y) => tf.where(c as tf.Tensor, x as tf.Tensor, y as tf.Tensor),
    }),
  ),
  operandOf(shapesOfRank(1, 1), anyDtype).map(
    (x): Call => ({
      name: 'where with one condition per row',
      operands: [{ ...x, dtype: 'bool', values: x.values.map((v) => Number(v > 0)) }, x],
      run: (c, y) => tf.where(c as tf.Tensor, y as tf.Tensor, tf.zerosLike(y as tf.Tensor)),
    }),
  ),
);

const REDUCTIONS: Record<
  string,
  [(x: tf.Tensor, axes: number[], keep: boolean) => tf.Tensor, Dtype[], tolerance: number]
> = {
  sum: [tf.sum, ['float32', 'int32', 'bool'], 1e-5],
  mean: [tf.mean, ['float32', 'int32', 'bool'], 1e-5],
  prod: [tf.prod, ['float32', 'int32', 'bool'], 1e-4],
  max: [tf.max, ['float32', 'int32'], 0],
  min: [tf.min, ['float32', 'int32'], 0],
  logSumExp: [tf.logSumExp, ['float32'], 1e-5],
  all: [tf.all, ['bool'], 0],
  any: [tf.any, ['bool'], 0],
  argMax: [(x, [axis]) => tf.argMax(x, axis), ['float32', 'int32', 'bool'], 0],
  argMin: [(x, [axis]) => tf.argMin(x, axis), ['float32', 'int32', 'bool'], 0],
  cumsum: [(x, [axis], flag) => tf.cumsum(x, axis, flag, !flag), ['float32', 'int32'], 1e-5],
  cumprod: [(x, [axis], flag) => tf.cumprod(x, axis, flag, !flag), ['float32', 'int32'], 1e-4],
  softmax: [(x) => tf.softmax(x), ['float32', 'int32'], 1e-5],
  logSoftmax: [(x) => tf.logSoftmax(x), ['float32'], 1e-5],
  topk: [(x) => tf.topk(x, Math.min(2, x.shape[x.rank - 1] as number)).values, ['float32', 'int32'], 0],
};

const reductionCalls = fc
  .tuple(fc.constantFrom(...Object.keys(REDUCTIONS)), shapesOfRank(1), fc.boolean(), fc.nat())
  .chain(([name, shape, keep, pick]) => {
    const [run, dtypes, tolerance] = REDUCTIONS[name] as (typeof REDUCTIONS)[string];
    const dtype = dtypes[pick % dtypes.length] as Dtype;
    // Products of integers stay exact in double precision, in which tfjs computes them.
    const small = dtype === 'int32' && name.includes('prod') ? fc.integer({ min: -2, max: 2 }) : values[dtype];
    const elements = dtype === 'float32' ? finite : small;
    return fc.tuple(operand(shape, dtype, elements), axesOf(shape.length)).map(
      ([x, axes]): Call => ({
        name: `${name} over [${axes}]${keep ? ', keeping or reversed' : ''}`,
        operands: [x],
        run: (t) => run(t as tf.Tensor, axes, keep),
        tolerance,
      }),
    );
  });

/** Operations that move elements, with arguments drawn for a shape. */
const MOVEMENTS: Record<string, (shape: number[]) => fc.Arbitrary<Call['run']>> = {
  transpose: ({ length }) =>
    fc
      .shuffledSubarray(
        Array.from({ length }, (_, i) => i),
        { minLength: length },
      )
      .map((perm) => (x) => tf.transpose(x as tf.Tensor, perm)),
  reshape: (shape) => fc.constant((x) => tf.reshape(x as tf.Tensor, [...shape].reverse())),
  slice: (shape) =>
    fc.tuple(...shape.map((n) => fc.tuple(fc.nat(n), fc.nat(n)))).map((ends) => (x) => {
      const begin = ends.map(([a, b]) => Math.min(a as number, b as number));
      const size = ends.map(([a, b]) => Math.abs((a as number) - (b as number)));
      return tf.slice(x as tf.Tensor, begin, size);
    }),
  // Ends in the order of the stride: tfjs's CPU backend throws for some empty ranges instead of returning nothing.
  stridedSlice: (shape) =>
    fc.tuple(...shape.map((n) => fc.tuple(fc.nat(n), fc.nat(n), fc.constantFrom(1, 2, 3, -1, -2)))).map((drawn) => {
      const axes = drawn.map(([a, b, stride]) => (a > b === stride > 0 ? [b, a, stride] : [a, b, stride]));
      const [begin, end, strides] = [0, 1, 2].map((i) => axes.map((axis) => axis[i] as number)) as [
        number[],
        number[],
        number[],
      ];
      return (x) => tf.stridedSlice(x as tf.Tensor, begin, end, strides);
    }),
  reverse: ({ length }) => axesOf(length).map((axes) => (x) => tf.reverse(x as tf.Tensor, axes)),
  tile: ({ length }) =>
    fc
      .array(fc.integer({ min: 1, max: 2 }), { minLength: length, maxLength: length })
      .map((reps) => (x) => tf.tile(x as tf.Tensor, reps)),
  pad: ({ length }) =>
    fc
      .array(fc.tuple(fc.nat(2), fc.nat(1)), { minLength: length, maxLength: length })
      .map((paddings) => (x) => tf.pad(x as tf.Tensor, paddings as [number, number][], 1)),
  mirrorPad: ({ length }) =>
    fc
      .tuple(fc.array(fc.nat(1), { minLength: length, maxLength: length }), fc.constantFrom('reflect', 'symmetric'))
      .map(
        ([before, mode]) =>
          (x) =>
            tf.mirrorPad(
              x as tf.Tensor,
              before.map((n): [number, number] => [n, 1 - n]),
              mode as 'reflect',
            ),
      ),
  split: (shape) =>
    fc.nat(shape.length - 1).map((axis) => (x) => tf.split(x as tf.Tensor, Math.max(1, shape[axis] as number), axis)),
  unstack: ({ length }) => fc.nat(length - 1).map((axis) => (x) => tf.unstack(x as tf.Tensor, axis)),
  stack: ({ length }) => fc.nat(length).map((axis) => (x) => tf.stack([x, x, x] as tf.Tensor[], axis)),
  concat: ({ length }) => fc.nat(length - 1).map((axis) => (x) => tf.concat([x, x] as tf.Tensor[], axis)),
  expandDims: ({ length }) => fc.nat(length).map((axis) => (x) => tf.expandDims(x as tf.Tensor, axis)),
  broadcastTo: (shape) => fc.constant((x) => tf.broadcastTo(x as tf.Tensor, [2, ...shape].slice(-6))),
  gather: (shape) =>
    fc
      .nat(shape.length - 1)
      .chain((axis) =>
        fc
          .array(fc.nat(Math.max(0, (shape[axis] as number) - 1)), { minLength: 1, maxLength: 5 })
          .map((at) => (x) => tf.gather(x as tf.Tensor, tf.tensor1d(at, 'int32'), axis)),
      ),
  cast: () => fc.constantFrom<Dtype>('float32', 'int32', 'bool').map((dtype) => (x) => tf.cast(x as tf.Tensor, dtype)),
};

const movementCalls = fc
  .tuple(fc.constantFrom(...Object.keys(MOVEMENTS)), shapesOfRank(1), anyDtype)
  .chain(([name, shape, dtype]) =>
    fc
      .tuple(
        operand(shape, dtype, dtype === 'float32' ? finite : values[dtype]),
        (MOVEMENTS[name] as (typeof MOVEMENTS)[string])(shape),
      )
      .map(([x, run]): Call => ({ name, operands: [x], run })),
  );

/** Matrix products; tfjs's CPU backend is wrong where both batches are repeated, so at most one is. */
const productCalls = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
    fc.constantFrom('both', 'a', 'b'),
    fc.tuple(extent, extent, extent),
    fc.tuple(fc.boolean(), fc.boolean()),
    fc.constantFrom<Dtype>('float32', 'float32', 'int32'),
  )
  .chain(([batch, who, [m, k, n], [transposeA, transposeB], dtype]) => {
    const shapeA = [...(who === 'b' ? [] : batch), ...(transposeA ? [k, m] : [m, k])];
    const shapeB = [...(who === 'a' ? [] : batch), ...(transposeB ? [n, k] : [k, n])];
    const elements = dtype === 'float32' ? finite : values[dtype];
    return fc.tuple(operand(shapeA, dtype, elements), operand(shapeB, dtype, elements)).map(
      (operands): Call => ({
        name: `matMul${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`,
        operands,
        run: (a, b) => tf.matMul(a as tf.Tensor, b as tf.Tensor, transposeA, transposeB),
        tolerance: 1e-5,
      }),
    );
  });

// ---- the comparison ----------------------------------------------------------------------------------

function evaluate({ operands, run }: Call): Outcome {
  try {
    return tf.tidy(() =>
      [run(...operands.map(({ values: v, shape, dtype }) => tf.tensor(v, shape, dtype)))]
        .flat()
        .map((y) => ({ shape: y.shape, dtype: y.dtype, values: Array.from(y.dataSync()) })),
    );
  } catch (error) {
    return error as Error;
  }
}

function compare({ name, operands, tolerance = 0 }: Call, ours: Outcome, theirs: Outcome): void {
  const call = `${name}(${operands.map(({ shape, dtype }) => `${dtype} [${shape}]`).join(', ')})`;
  if (theirs instanceof Error) {
    if (!(ours instanceof Error)) throw new Error(`${call} gave a result, but tfjs throws: ${theirs.message}`);
    return;
  }
  if (ours instanceof Error) throw new Error(`${call} threw: ${ours.stack}`);
  if (ours.length !== theirs.length) throw new Error(`${call} gave ${ours.length} tensors, expected ${theirs.length}`);
  ours.forEach((y, i) => {
    const expected = theirs[i] as (typeof theirs)[number];
    if (
      y.dtype !== expected.dtype ||
      `${y.shape}` !== `${expected.shape}` ||
      y.values.length !== expected.values.length
    ) {
      throw new Error(`${call} is ${y.dtype} [${y.shape}], expected ${expected.dtype} [${expected.shape}]`);
    }
    y.values.forEach((value, j) => {
      const wanted = expected.values[j] as number;
      const close =
        Object.is(value, wanted) || value === wanted || Math.abs(value - wanted) <= tolerance * (1 + Math.abs(wanted));
      if (!close) throw new Error(`${call}: element ${j} is ${value}, expected ${wanted}`);
    });
  });
}

describe.each(await availableDevices())('operations on $name agree with tfjs', ({ options }) => {
  beforeAll(async () => void (await init(options)));
  afterAll(dispose);

  it.each([
    ['functions of one tensor', unaryCalls],
    ['arithmetic, comparisons and selection with broadcasting', binaryCalls],
    ['reductions and scans', reductionCalls],
    ['movements', movementCalls],
    ['matrix products', productCalls],
  ] as [string, fc.Arbitrary<Call>][])('%s', async (_, calls) => {
    const tensors = tf.memory().numTensors;
    await fc.assert(
      fc.asyncProperty(calls, async (call) => {
        await tf.setBackend('cpu');
        const theirs = evaluate(call);
        await tf.setBackend('fwp');
        compare(call, evaluate(call), theirs);
      }),
      { numRuns: 400, seed: 20, endOnFailure: false },
    );
    expect(tf.memory().numTensors).toBe(tensors);
  });
});
