/**
 * Random calls of tfjs's public operations: which, with which arguments, on tensors of which shapes, dtypes and values. Dimensions of
 * size 0 occur.
 */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';

type Dtype = 'float32' | 'int32' | 'bool';

/** A tensor to be made on either backend. */
export interface Operand {
  readonly shape: number[];
  readonly dtype: Dtype;
  readonly values: number[];
}

/** A call of an operation; `name` describes it in messages. */
export interface Call {
  readonly name: string;
  readonly operands: readonly Operand[];
  run(...tensors: tf.Tensor[]): tf.Tensor | tf.Tensor[];
  /** Tolerance relative to 1 + |expected|; default 0. */
  readonly tolerance?: number;
}

/** Of the tensors of {@link randomCalls}. */
export interface TensorSizes {
  /** Sizes of a dimension. */
  readonly extent: fc.Arbitrary<number>;
  readonly mostDimensions: number;
  readonly mostElements: number;
  /** Of numbers, in a product of two matrices. */
  readonly mostProducts: number;
}

// ---- values ------------------------------------------------------------------------------------------

/** Numbers of a tensor: each drawn by itself, or, where there are many, made of a random number from 0 to 1. */
interface Numbers {
  readonly each: fc.Arbitrary<number>;
  readonly made: (random: number) => number;
}

const floats = fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround);
const integers = fc.integer({ min: -3, max: 3 });
const few = (random: number): number => (random < 0.2 ? Math.round(10 * random) - 1 : Math.fround(2.2 * random - 1.1));
/** Without NaN and infinities, for operations whose treatment of them tfjs leaves open. */
const finite: Numbers = { each: fc.oneof(floats, integers), made: few };
const fewIntegers: Numbers = { each: fc.integer({ min: -2, max: 2 }), made: (random) => Math.floor(5 * random) - 2 };
const values: Readonly<Record<Dtype, Numbers>> = {
  float32: {
    each: fc.oneof(
      { arbitrary: floats, weight: 8 },
      { arbitrary: integers, weight: 6 },
      { arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity), weight: 1 },
    ),
    made: few,
  },
  int32: { each: fc.integer({ min: -20, max: 20 }), made: (random) => Math.floor(41 * random) - 20 },
  bool: { each: fc.integer({ min: 0, max: 1 }), made: (random) => Number(random < 0.5) },
};
const anyDtype = fc.constantFrom<Dtype>('float32', 'int32', 'bool');
const numeric = fc.constantFrom<Dtype>('float32', 'int32');

/** Of so many numbers each is drawn. */
const MOST_DRAWN = 400;

function operand(shape: number[], dtype: Dtype, { each, made } = values[dtype]): fc.Arbitrary<Operand> {
  const length = tf.util.sizeFromShape(shape);
  const drawn =
    length <= MOST_DRAWN
      ? fc.array(each, { minLength: length, maxLength: length })
      : fc.nat().map((seed) => {
          // The generator of Lehmer.
          let state = (seed % 2147483646) + 1;
          return Array.from({ length }, () => {
            state = (state * 48271) % 2147483647;
            return made(state / 2147483647);
          });
        });
  return drawn.map((elements) => ({ shape, dtype, values: elements }));
}

function operandOf(shapesWanted: fc.Arbitrary<number[]>, dtypes: fc.Arbitrary<Dtype> = numeric): fc.Arbitrary<Operand> {
  return fc.tuple(shapesWanted, dtypes).chain(([shape, dtype]) => operand(shape, dtype));
}

const axesOf = (rank: number): fc.Arbitrary<number[]> =>
  fc.subarray(
    Array.from({ length: rank }, (_, i) => i),
    { minLength: Math.min(1, rank) },
  );

// ---- operations --------------------------------------------------------------------------------------

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

// ---- calls -------------------------------------------------------------------------------------------

/** Families of calls by their name, on tensors of the given sizes. */
export function randomCalls({
  extent,
  mostDimensions,
  mostElements,
  mostProducts,
}: TensorSizes): Readonly<Record<string, fc.Arbitrary<Call>>> {
  const shapes = fc
    .array(extent, { maxLength: mostDimensions })
    .filter((shape) => tf.util.sizeFromShape(shape) <= mostElements);
  const shapesOfRank = (min: number, max = mostDimensions): fc.Arbitrary<number[]> =>
    shapes.filter(({ length }) => length >= min && length <= max);

  /** Two operands that broadcast against each other. */
  function broadcasting(dtypes: fc.Arbitrary<Dtype>): fc.Arbitrary<[Operand, Operand]> {
    return fc
      .tuple(
        shapes,
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 }),
        fc.nat(6),
        dtypes,
        dtypes,
      )
      .chain(([shape, ones, drop, dtypeA, dtypeB]) => {
        const a = shape.map((n, i) => (ones[i] === 0 ? 1 : n));
        const b = shape.map((n, i) => (ones[i] === 1 ? 1 : n)).slice(Math.min(drop, shape.length));
        return fc.boolean().chain((swap) => fc.tuple(operand(swap ? b : a, dtypeA), operand(swap ? a : b, dtypeB)));
      });
  }

  const unaryCalls = fc
    .tuple(fc.constantFrom(...Object.keys(FUNCTIONS)), operandOf(shapes, anyDtype))
    .map(([name, x]): Call => {
      const [run, tolerance] = FUNCTIONS[name] as [(x: tf.Tensor) => tf.Tensor, number];
      return { name, operands: [x], run, tolerance };
    });

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

  const reductionCalls = fc
    .tuple(fc.constantFrom(...Object.keys(REDUCTIONS)), shapesOfRank(1), fc.boolean(), fc.nat())
    .chain(([name, shape, keep, pick]) => {
      const [run, dtypes, tolerance] = REDUCTIONS[name] as (typeof REDUCTIONS)[string];
      const dtype = dtypes[pick % dtypes.length] as Dtype;
      // Products of integers stay exact in double precision, in which tfjs computes them.
      const small = dtype === 'int32' && name.includes('prod') ? fewIntegers : values[dtype];
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
      fc.tuple(extent, extent, extent).filter((sizes) => tf.util.sizeFromShape(sizes) <= mostProducts),
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

  return {
    'functions of one tensor': unaryCalls,
    'arithmetic, comparisons and selection with broadcasting': binaryCalls,
    'reductions and scans': reductionCalls,
    movements: movementCalls,
    'matrix products': productCalls,
  };
}
