/**
 * Gradients in which tfjs forgets that an input was broadcast (they throw about shapes), or does more than it needs to,
 * as when it repeats values by multiplying with ones.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, sumToShape, zeroGradient } from './support.ts';

/** `a b`, without the two casts to float32 that tfjs makes in any case. */
const multiply: Gradient = {
  kernelName: tf.Multiply,
  inputsToSave: ['a', 'b'],
  gradFunc: (dy, saved) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    const times = (x: tf.Tensor): tf.Tensor =>
      tf.mul(dy as tf.Tensor, x.dtype === 'float32' ? x : tf.cast(x, 'float32'));
    return { a: () => sumToShape(times(b), a.shape), b: () => sumToShape(times(a), b.shape) };
  },
};

/** `(a − b)²` */
const squaredDifference: Gradient = {
  kernelName: tf.SquaredDifference,
  inputsToSave: ['a', 'b'],
  gradFunc: (dy, saved) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    const twice = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.mul(tf.mul(dy as tf.Tensor, 2), tf.sub(x, y));
    return { a: () => sumToShape(twice(a, b), a.shape), b: () => sumToShape(twice(b, a), b.shape) };
  },
};

/** Maximum and minimum: the gradient goes to the chosen input, to `a` where both are equal. */
function choice(kernelName: string, choosesA: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Gradient {
  return {
    kernelName,
    inputsToSave: ['a', 'b'],
    gradFunc: (upstream, saved) => {
      const dy = upstream as tf.Tensor;
      const [a, b] = saved as [tf.Tensor, tf.Tensor];
      return {
        a: () => sumToShape(tf.where(choosesA(a, b), dy, tf.zerosLike(dy)), a.shape),
        b: () => sumToShape(tf.where(choosesA(a, b), tf.zerosLike(dy), dy), b.shape),
      };
    },
  };
}

/** `condition ? t : e`. A NaN or infinity in dy stays on its side: it is not multiplied by zero. */
const select: Gradient = {
  kernelName: tf.Select,
  inputsToSave: ['condition'],
  gradFunc: (upstream, saved) => {
    const dy = upstream as tf.Tensor;
    const condition = saved[0] as tf.Tensor;
    return {
      condition: () => zeroGradient(condition),
      t: () => tf.where(alignLeft(condition, dy), dy, tf.zerosLike(dy)),
      e: () => tf.where(alignLeft(condition, dy), tf.zerosLike(dy), dy),
    };
  },
};

/** The kernel takes a vector as condition for the first axis of its operands. */
function alignLeft(condition: tf.Tensor, x: tf.Tensor): tf.Tensor {
  if (condition.rank === x.rank) return condition;
  return tf.reshape(condition, [...condition.shape, ...new Array<number>(x.rank - condition.rank).fill(1)]);
}

/** The sum over some axes: dy repeated along them. */
const sum: Gradient = {
  kernelName: tf.Sum,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    const x = saved[0] as tf.Tensor;
    return { x: () => repeat(dy as tf.Tensor, x, attrs) };
  },
};

/** The mean over some axes: dy divided by the number of averaged elements, repeated along them. */
const mean: Gradient = {
  kernelName: tf.Mean,
  inputsToSave: ['x'],
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const x = saved[0] as tf.Tensor;
    return { x: () => repeat(tf.div(dy, Math.max(1, x.size / Math.max(1, dy.size))), x, attrs) };
  },
};

function repeat(dy: tf.Tensor, x: tf.Tensor, attrs: tf.NamedAttrMap): tf.Tensor {
  // tf.broadcastTo does not go from an extent of 1 to one of 0.
  if (x.size === 0) return tf.zeros(x.shape);
  const axes = tf.util.parseAxisParam(attrs['axis'] as number | number[], x.shape);
  const kept = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  return tf.broadcastTo(tf.reshape(dy, kept), x.shape);
}

/** `tile`: dy summed over the copies; tfjs knows ranks up to 4 and adds slices one by one. */
const tile: Gradient = {
  kernelName: tf.Tile,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    const x = saved[0] as tf.Tensor;
    const { reps } = attrs as { reps: number[] };
    return {
      x: () => {
        const split: number[] = [];
        const copies: number[] = [];
        x.shape.forEach((extent, axis) => {
          const times = reps[axis] as number;
          if (times !== 1) copies.push(split.push(times) - 1);
          split.push(extent);
        });
        const parts = tf.reshape(dy as tf.Tensor, split);
        return tf.reshape(copies.length > 0 ? tf.sum(parts, copies) : parts, x.shape);
      },
    };
  },
};

/** Gradients of operations that broadcast or reduce. */
export const broadcastingGradients: readonly Gradient[] = [
  multiply,
  squaredDifference,
  choice(tf.Maximum, tf.greaterEqual),
  choice(tf.Minimum, tf.lessEqual),
  select,
  sum,
  mean,
  tile,
];
