/** Gradients of running sums and products. tfjs's cumsum gradient is right for the last axis only; the others are missing. */

import * as tf from '@tensorflow/tfjs-core';
import { stepsOf } from '../recurrent-steps.ts';
import { type Gradient, isTapeOn } from './support.ts';

interface ScanAttributes {
  axis: number;
  exclusive: boolean;
  reverse: boolean;
}

/** The gradient of a running sum is the running sum from the other end. */
const cumsum: Gradient = {
  kernelName: tf.Cumsum,
  gradFunc: (dy, _saved, attrs) => {
    const { axis, exclusive, reverse } = attrs as unknown as ScanAttributes;
    return { x: () => tf.cumsum(dy as tf.Tensor, axis, exclusive, !reverse) };
  },
};

const cumprod: Gradient = {
  kernelName: tf.Cumprod,
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, saved, attrs) => {
    const [x, y] = saved as [tf.Tensor, tf.Tensor];
    return { x: () => cumprodGradient(dy as tf.Tensor, x, y, attrs as unknown as ScanAttributes) };
  },
};

/**
 * With `yᵢ = x₁ ⋯ xᵢ`: `dxᵢ = (x₁ ⋯ xᵢ₋₁) rᵢ`, where `rᵢ = dyᵢ + xᵢ₊₁ rᵢ₊₁` runs from the end. No division, so
 * zeros in x are nothing special.
 */
function cumprodGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  y: tf.Tensor,
  { axis, exclusive, reverse }: ScanAttributes,
): tf.Tensor {
  const [scanAxis] = tf.util.parseAxisParam(axis, x.shape) as [number];
  const flip = (t: tf.Tensor): tf.Tensor => (reverse ? tf.reverse(t, scanAxis) : t);
  const factors = flip(tf.cast(x, 'float32'));
  // The exclusive product is the inclusive one, one place later. The output that was saved does not lead to x.
  const upstream = exclusive ? ahead(flip(dy), 1, scanAxis) : flip(dy);
  const before = exclusive && !isTapeOn() ? flip(y) : tf.cumprod(factors, scanAxis, true, false);
  return flip(tf.mul(before, recurrenceFromEnd(upstream, factors, scanAxis)));
}

/** With more numbers in a place, an operation takes longer than starting it does. */
const LARGE_PLACE = 1024;
/** With fewer of them in a row, taking places apart takes longer than it saves. */
const SHORT_RUN = 32;

/** `rᵢ = uᵢ + xᵢ₊₁ rᵢ₊₁` along an axis. */
function recurrenceFromEnd(upstream: tf.Tensor, factors: tf.Tensor, axis: number): tf.Tensor {
  const places = factors.shape[axis] as number;
  const isLarge = factors.size > LARGE_PLACE * places;
  const run = tf.util.sizeFromShape(factors.shape.slice(axis + 1));
  // On a GPU many operations one after the other cost more than a few that repeat work.
  if (isLarge && run >= SHORT_RUN && tf.getBackend() !== 'webgpu') {
    const [given, after] = [stepsOf(upstream, axis), stepsOf(factors, axis)];
    for (let i = places - 2; i >= 0; i--) {
      given[i] = tf.add(given[i]!, tf.mul(after[i + 1]!, given[i + 1]!));
    }
    return tf.stack(given, axis);
  }
  let sums = upstream;
  let products = ahead(factors, 1, axis);
  // Pairs (product, sum) of 1, 2, 4, … places, combined as linear recurrences are.
  for (let span = 1; span < places; span *= 2) {
    sums = tf.add(sums, tf.mul(products, ahead(sums, span, axis)));
    products = tf.mul(products, ahead(products, span, axis));
  }
  return sums;
}

/** `x` moved `places` towards the start of an axis, zeros coming in at the end. */
function ahead(x: tf.Tensor, places: number, axis: number): tf.Tensor {
  const extent = x.shape[axis] as number;
  const kept = Math.max(0, extent - places);
  const begin = x.shape.map((_, i) => (i === axis ? extent - kept : 0));
  const size = x.shape.map((n, i) => (i === axis ? kept : n));
  const padding = x.shape.map((_, i): [number, number] => [0, i === axis ? extent - kept : 0]);
  return tf.pad(tf.slice(x, begin, size), padding);
}

/** The product over axes: for each factor, the product of those before it and those after it. */
const prod: Gradient = {
  kernelName: tf.Prod,
  inputsToSave: ['x'],
  gradFunc: (upstream, saved, attrs) => {
    const x = saved[0] as tf.Tensor;
    return {
      x: () => {
        const axes = tf.util.parseAxisParam(attrs['axis'] as number | number[], x.shape);
        const others = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
        const order = [...others, ...axes];
        const factors = tf.transpose(tf.cast(x, 'float32'), order);
        const rows = tf.reshape(factors, [...others.map((i) => x.shape[i] as number), count(x.shape, axes)]);
        const last = rows.rank - 1;
        const dy = tf.reshape(upstream as tf.Tensor, [...rows.shape.slice(0, last), 1]);
        const before = tf.cumprod(rows, last, true, false);
        const after = tf.cumprod(rows, last, true, true);
        const gradient = tf.reshape(tf.mul(dy, tf.mul(before, after)), factors.shape);
        return tf.transpose(gradient, inverse(order));
      },
    };
  },
};

function count(shape: number[], axes: number[]): number {
  return axes.reduce((product, axis) => product * (shape[axis] as number), 1);
}

function inverse(order: number[]): number[] {
  const result = new Array<number>(order.length);
  order.forEach((axis, i) => {
    result[axis] = i;
  });
  return result;
}

/** Gradients of running sums and products, and of the product over an axis. */
export const scanGradients: readonly Gradient[] = [cumsum, cumprod, prod];
