/**
 * Gradients of the gradient kernels of convolutions, pooling and resizing, for derivatives of higher order. A gradient
 * kernel is linear in dy, so its gradient for dy is the operation itself, applied to what arrives from above.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, runKernel, zeroGradient } from './support.ts';

/** dw = f(x, dy), bilinear: with an upstream gradient w, dx = the input gradient of w, ddy = the convolution with w. */
const conv2dBackpropFilter: Gradient = {
  kernelName: tf.Conv2DBackpropFilter,
  inputsToSave: ['x', 'dy'],
  gradFunc: (upstream, saved, attrs) => {
    const filter = upstream as tf.Tensor;
    const [x, dy] = saved as [tf.Tensor, tf.Tensor];
    const { filterShape: _, ...window } = attrs;
    return {
      x: () => runKernel(tf.Conv2DBackpropInput, { dy, filter }, { ...window, inputShape: x.shape }),
      dy: () => runKernel(tf.Conv2D, { x, filter }, { ...window, dilations: 1 }),
    };
  },
};

const depthwiseBackpropFilter: Gradient = {
  kernelName: tf.DepthwiseConv2dNativeBackpropFilter,
  inputsToSave: ['x', 'dy'],
  gradFunc: (upstream, saved, attrs) => {
    const filter = upstream as tf.Tensor;
    const [x, dy] = saved as [tf.Tensor, tf.Tensor];
    const { filterShape: _, ...window } = attrs;
    return {
      x: () => runKernel(tf.DepthwiseConv2dNativeBackpropInput, { dy, filter }, { ...window, inputShape: x.shape }),
      dy: () => runKernel(tf.DepthwiseConv2dNative, { x, filter }, { dataFormat: 'NHWC', ...window }),
    };
  },
};

const depthwiseBackpropInput: Gradient = {
  kernelName: tf.DepthwiseConv2dNativeBackpropInput,
  inputsToSave: ['dy', 'filter'],
  gradFunc: (upstream, saved, attrs) => {
    const x = upstream as tf.Tensor;
    const [dy, filter] = saved as [tf.Tensor, tf.Tensor];
    const { inputShape: _, ...window } = attrs;
    return {
      dy: () => runKernel(tf.DepthwiseConv2dNative, { x, filter }, { dataFormat: 'NHWC', ...window }),
      filter: () =>
        runKernel(tf.DepthwiseConv2dNativeBackpropFilter, { x, dy }, { ...window, filterShape: filter.shape }),
    };
  },
};

const conv3dBackpropFilter: Gradient = {
  kernelName: tf.Conv3DBackpropFilterV2,
  inputsToSave: ['x', 'dy'],
  gradFunc: (upstream, saved, attrs) => {
    const filter = upstream as tf.Tensor;
    const [x, dy] = saved as [tf.Tensor, tf.Tensor];
    const { filterShape: _, ...window } = attrs;
    return {
      x: () => runKernel(tf.Conv3DBackpropInputV2, { dy, filter }, { ...window, inputShape: x.shape }),
      dy: () => runKernel(tf.Conv3D, { x, filter }, { dataFormat: 'NDHWC', dilations: 1, ...window }),
    };
  },
};

const conv3dBackpropInput: Gradient = {
  kernelName: tf.Conv3DBackpropInputV2,
  inputsToSave: ['dy', 'filter'],
  gradFunc: (upstream, saved, attrs) => {
    const x = upstream as tf.Tensor;
    const [dy, filter] = saved as [tf.Tensor, tf.Tensor];
    const { inputShape: _, ...window } = attrs;
    return {
      dy: () => runKernel(tf.Conv3D, { x, filter }, { dataFormat: 'NDHWC', dilations: 1, ...window }),
      filter: () => runKernel(tf.Conv3DBackpropFilterV2, { x, dy }, { ...window, filterShape: filter.shape }),
    };
  },
};

/** A gradient kernel that is linear in dy and knows its other input by shape alone. */
function linear(kernelName: string, forward: string, other: string, forwardInput: string): Gradient {
  return {
    kernelName,
    inputsToSave: [other],
    gradFunc: (upstream, saved, attrs) => ({
      dy: () => runKernel(forward, { [forwardInput]: upstream as tf.Tensor }, attrs),
      [other]: () => zeroGradient(saved[0] as tf.Tensor),
    }),
  };
}

/** Max pooling passes dy to the largest element of each window; its gradient is read from that element. */
const maxPoolGrad: Gradient = {
  kernelName: tf.MaxPoolGrad,
  inputsToSave: ['input', 'output'],
  gradFunc: (upstream, saved, attrs) => {
    const [input, output] = saved as [tf.Tensor4D, tf.Tensor];
    const { filterSize, strides, pad } = attrs as { filterSize: number; strides: number; pad: 'same' | 'valid' };
    return {
      dy: () => {
        const { indexes } = tf.maxPoolWithArgmax(input, filterSize, strides, pad, true);
        const places = tf.reshape(tf.cast(indexes as tf.Tensor, 'int32'), [output.size]) as tf.Tensor1D;
        const flat = tf.reshape(upstream as tf.Tensor, [input.size]);
        return tf.reshape(tf.gather(flat, places), output.shape);
      },
      input: () => zeroGradient(input),
      output: () => zeroGradient(output),
    };
  },
};

/** The pooled values' gradient is that of max pooling; the positions have none. */
const maxPoolWithArgmax: Gradient = {
  kernelName: tf.MaxPoolWithArgmax,
  inputsToSave: ['x'],
  outputsToSave: [true, false],
  gradFunc: (upstream, saved, attrs) => {
    const [dy] = upstream as [tf.Tensor];
    const [input, output] = saved as [tf.Tensor, tf.Tensor];
    const { includeBatchInIndex: _, ...window } = attrs;
    return { x: () => runKernel(tf.MaxPoolGrad, { dy, input, output }, window) };
  },
};

/** Second derivatives of operations on windows. */
export const windowGradients: readonly Gradient[] = [
  conv2dBackpropFilter,
  depthwiseBackpropFilter,
  depthwiseBackpropInput,
  conv3dBackpropFilter,
  conv3dBackpropInput,
  linear(tf.AvgPoolGrad, tf.AvgPool, 'input', 'x'),
  linear(tf.AvgPool3DGrad, tf.AvgPool3D, 'input', 'x'),
  linear(tf.ResizeBilinearGrad, tf.ResizeBilinear, 'images', 'images'),
  linear(tf.ResizeNearestNeighborGrad, tf.ResizeNearestNeighbor, 'images', 'images'),
  maxPoolGrad,
  maxPoolWithArgmax,
];
