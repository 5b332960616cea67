/** Gradients of operations that move elements: missing in tfjs, or (mirror padding) leaving out the mirrored elements. */

import * as tf from '@tensorflow/tfjs-core';
import type { Gradient } from './support.ts';

/** `x[begin:end:stride, …]`: dy goes back to the places that it was taken from, zeros in between. */
const stridedSlice: Gradient = {
  kernelName: tf.StridedSlice,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    const x = saved[0] as tf.Tensor;
    const given = attrs as unknown as StridedSliceAttributes;
    return {
      x: () => {
        const { begin, end, strides } = tf.slice_util.sliceInfo(
          x.shape,
          given.begin,
          given.end,
          given.strides,
          given.beginMask,
          given.endMask,
          given.ellipsisMask,
          given.newAxisMask,
          given.shrinkAxisMask,
        );
        let dx = tf.reshape(dy as tf.Tensor, tf.slice_util.computeOutShape(begin, end, strides));
        x.shape.forEach((extent, axis) => {
          dx = spread(dx, axis, extent, begin[axis] as number, strides[axis] as number);
        });
        return dx;
      },
    };
  },
};

interface StridedSliceAttributes {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

/** Places element i of an axis at `begin + i·stride` of an axis of length `extent`; zeros elsewhere. */
function spread(x: tf.Tensor, axis: number, extent: number, begin: number, stride: number): tf.Tensor {
  const length = x.shape[axis] as number;
  if (length === extent && stride === 1) return x;
  if (length === 0) return tf.zeros(x.shape.map((n, i) => (i === axis ? extent : n)));
  const step = Math.abs(stride);
  const first = stride > 0 ? begin : begin + (length - 1) * stride;
  const ordered = stride > 0 ? x : tf.reverse(x, axis);
  // Every element is followed by step − 1 zeros, then the last ones are dropped.
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const apart = padAxis(tf.reshape(ordered, [...before, length, 1, ...after]), axis + 1, 0, step - 1);
  const joined = tf.reshape(apart, [...before, length * step, ...after]);
  const spaced = sliceAxis(joined, axis, 0, (length - 1) * step + 1);
  return padAxis(spaced, axis, first, extent - first - (spaced.shape[axis] as number));
}

/** Mirror padding: the gradients of the mirrored elements are mirrored back and added. */
const mirrorPad: Gradient = {
  kernelName: tf.MirrorPad,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    const x = saved[0] as tf.Tensor;
    const { paddings, mode } = attrs as unknown as { paddings: [number, number][]; mode: 'reflect' | 'symmetric' };
    // 'reflect' does not repeat the outermost element.
    const skip = mode === 'reflect' ? 1 : 0;
    return {
      x: () => {
        let dx = dy as tf.Tensor;
        paddings.forEach(([left, right], axis) => {
          const extent = x.shape[axis] as number;
          const mirrored = (begin: number, length: number): tf.Tensor =>
            tf.reverse(sliceAxis(dx, axis, begin, length), axis);
          let sum = sliceAxis(dx, axis, left, extent);
          if (left > 0) sum = tf.add(sum, padAxis(mirrored(0, left), axis, skip, extent - left - skip));
          if (right > 0) sum = tf.add(sum, padAxis(mirrored(left + extent, right), axis, extent - right - skip, skip));
          dx = sum;
        });
        return dx;
      },
    };
  },
};

/** Channels to space: the gradient goes from space to channels. */
const depthToSpace: Gradient = {
  kernelName: tf.DepthToSpace,
  gradFunc: (upstream, _saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const { blockSize: n, dataFormat } = attrs as { blockSize: number; dataFormat: 'NHWC' | 'NCHW' };
    return {
      x: () => {
        if (dataFormat === 'NCHW') {
          const [batch, channels, height, width] = dy.shape as [number, number, number, number];
          const blocks = tf.reshape(dy, [batch, channels, height / n, n, width / n, n]);
          return tf.reshape(tf.transpose(blocks, [0, 3, 5, 1, 2, 4]), [batch, n * n * channels, height / n, width / n]);
        }
        const [batch, height, width, channels] = dy.shape as [number, number, number, number];
        const blocks = tf.reshape(dy, [batch, height / n, n, width / n, n, channels]);
        return tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [batch, height / n, width / n, n * n * channels]);
      },
    };
  },
};

/** `diag`: from x of shape s to a tensor of shape [s, s]; the gradient is the diagonal. */
const diag: Gradient = {
  kernelName: tf.Diag,
  inputsToSave: ['x'],
  gradFunc: (dy, saved) => {
    const x = saved[0] as tf.Tensor;
    return {
      x: () => {
        const flat = tf.reshape(dy as tf.Tensor, [x.size * x.size]);
        return tf.reshape(tf.stridedSlice(flat, [0], [x.size * x.size], [x.size + 1]), x.shape);
      },
    };
  },
};

const flipLeftRight: Gradient = {
  kernelName: tf.FlipLeftRight,
  gradFunc: (dy) => ({ image: () => tf.image.flipLeftRight(dy as tf.Tensor4D) }),
};

function sliceAxis(x: tf.Tensor, axis: number, begin: number, length: number): tf.Tensor {
  const begins = x.shape.map((_, i) => (i === axis ? begin : 0));
  return tf.slice(
    x,
    begins,
    x.shape.map((extent, i) => (i === axis ? length : extent)),
  );
}

function padAxis(x: tf.Tensor, axis: number, before: number, after: number): tf.Tensor {
  if (before === 0 && after === 0) return x;
  return tf.pad(
    x,
    x.shape.map((_, i): [number, number] => (i === axis ? [before, after] : [0, 0])),
  );
}

/** Gradients of operations that move elements. */
export const rearrangingGradients: readonly Gradient[] = [stridedSlice, mirrorPad, depthToSpace, diag, flipLeftRight];
