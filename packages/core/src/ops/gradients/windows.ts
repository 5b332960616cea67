/**
 * Gradients of convolutions with holes and of average pooling, and those of the gradient kernels of convolutions,
 * pooling and resizing, for derivatives of higher order. A gradient kernel is linear in dy, so its gradient for dy is
 * the operation itself, applied to what arrives from above.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, runKernel, zeroGradient } from './support.ts';

interface ConvolutionAttributes {
  strides: number | [number, number];
  pad: Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
  dataFormat: 'NHWC' | 'NCHW';
  dilations: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/**
 * Convolution. tfjs refuses filters with holes (dilations above 1), which have stride 1:
 *
 *   y[o] = Σₖ x[o + d k − p] w[k]   ⇒   dx[i] = Σₖ dy[i + p − d k] w[k]ᵀ,   dw[k] = Σₒ x[o + d k − p]ᵀ dy[o]
 */
const conv2d: Gradient = {
  kernelName: tf.Conv2D,
  inputsToSave: ['x', 'filter'],
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor4D;
    const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D];
    const { dilations, ...window } = attrs as unknown as ConvolutionAttributes;
    if ([dilations].flat().every((dilation) => dilation === 1)) {
      return {
        x: () => runKernel(tf.Conv2DBackpropInput, { dy, filter }, { ...window, inputShape: x.shape }),
        filter: () => runKernel(tf.Conv2DBackpropFilter, { x, dy }, { ...window, filterShape: filter.shape }),
      };
    }
    if (window.dataFormat === 'NCHW') {
      throw new Error(
        "conv2d: gradients with dilations above 1 need dataFormat 'NHWC', but it is 'NCHW'. Transpose the input.",
      );
    }
    const { strides, pad, dimRoundingMode } = window;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filter.shape, strides, dilations, pad, dimRoundingMode);
    return { x: () => dilatedInputGradient(dy, filter, info), filter: () => dilatedFilterGradient(x, dy, info) };
  },
};

type ConvolutionInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** dy, padded, convolved with the filter upside down. */
function dilatedInputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D, info: ConvolutionInfo): tf.Tensor {
  const flipped = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D;
  const high = spanOf(info.filterHeight, info.dilationHeight);
  const wide = spanOf(info.filterWidth, info.dilationWidth);
  const padded = padOrCrop(dy, [
    [high - info.padInfo.top, info.inHeight - info.outHeight + info.padInfo.top],
    [wide - info.padInfo.left, info.inWidth - info.outWidth + info.padInfo.left],
  ]);
  return tf.conv2d(padded, flipped, 1, 'valid', 'NHWC', [info.dilationHeight, info.dilationWidth]);
}

/** One matrix product per tap of the filter. */
function dilatedFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvolutionInfo): tf.Tensor {
  const { batchSize, outHeight, outWidth, inChannels, outChannels, filterHeight, filterWidth } = info;
  const padded = padOrCrop(x, [
    [info.padInfo.top, outHeight + spanOf(filterHeight, info.dilationHeight) - info.inHeight - info.padInfo.top],
    [info.padInfo.left, outWidth + spanOf(filterWidth, info.dilationWidth) - info.inWidth - info.padInfo.left],
  ]);
  const dyRows = tf.reshape(dy, [batchSize * outHeight * outWidth, outChannels]);
  const taps: tf.Tensor[] = [];
  for (let row = 0; row < filterHeight; row++) {
    for (let column = 0; column < filterWidth; column++) {
      const begin = [0, row * info.dilationHeight, column * info.dilationWidth, 0];
      const seen = tf.slice(padded, begin, [batchSize, outHeight, outWidth, inChannels]);
      taps.push(tf.matMul(tf.reshape(seen, [batchSize * outHeight * outWidth, inChannels]), dyRows, true, false));
    }
  }
  return tf.reshape(tf.stack(taps), info.filterShape);
}

/** How far a filter with holes reaches beyond its first element. */
function spanOf(size: number, dilation: number): number {
  return (size - 1) * dilation;
}

/** Adds zeros around height and width, or, for negative numbers, cuts off. */
function padOrCrop(x: tf.Tensor4D, [rows, columns]: [[number, number], [number, number]]): tf.Tensor4D {
  const ends = [[0, 0], rows, columns, [0, 0]] as [number, number][];
  const begin = ends.map(([before]) => Math.max(0, -before));
  const size = x.shape.map((extent, axis) => extent - (begin[axis] as number) - Math.max(0, -(ends[axis]?.[1] ?? 0)));
  return tf.pad(
    tf.slice(x, begin as [number, number, number, number], size as [number, number, number, number]),
    ends.map(([before, after]): [number, number] => [Math.max(0, before), Math.max(0, after)]),
  );
}

/** A convolution's kernel and those of its gradients. */
interface Convolution {
  readonly forward: string;
  readonly backpropInput: string;
  readonly backpropFilter: string;
  /** Attributes that the kernels of the gradients do not have. */
  readonly attrs: tf.NamedAttrMap;
}

const CONVOLUTION: Convolution = {
  forward: tf.Conv2D,
  backpropInput: tf.Conv2DBackpropInput,
  backpropFilter: tf.Conv2DBackpropFilter,
  attrs: { dilations: 1 },
};

const DEPTHWISE: Convolution = {
  forward: tf.DepthwiseConv2dNative,
  backpropInput: tf.DepthwiseConv2dNativeBackpropInput,
  backpropFilter: tf.DepthwiseConv2dNativeBackpropFilter,
  attrs: { dataFormat: 'NHWC' },
};

const CONVOLUTION_3D: Convolution = {
  forward: tf.Conv3D,
  backpropInput: tf.Conv3DBackpropInputV2,
  backpropFilter: tf.Conv3DBackpropFilterV2,
  attrs: { dataFormat: 'NDHWC', dilations: 1 },
};

/** dw = f(x, dy), bilinear: with an upstream gradient w, dx = the input gradient of w, ddy = the convolution with w. */
function backpropFilter({ forward, backpropInput, backpropFilter: kernelName, attrs: more }: Convolution): Gradient {
  return {
    kernelName,
    inputsToSave: ['x', 'dy'],
    gradFunc: (upstream, saved, attrs) => {
      const filter = upstream as tf.Tensor;
      const [x, dy] = saved as [tf.Tensor, tf.Tensor];
      const { filterShape: _, ...window } = attrs;
      return {
        x: () => runKernel(backpropInput, { dy, filter }, { ...window, inputShape: x.shape }),
        dy: () => runKernel(forward, { x, filter }, { ...more, ...window }),
      };
    },
  };
}

/** dx = f(dy, w), bilinear: with an upstream gradient x, ddy = the convolution of x, dw = the filter gradient of x. */
function backpropInput({ forward, backpropInput: kernelName, backpropFilter, attrs: more }: Convolution): Gradient {
  return {
    kernelName,
    inputsToSave: ['dy', 'filter'],
    gradFunc: (upstream, saved, attrs) => {
      const x = upstream as tf.Tensor;
      const [dy, filter] = saved as [tf.Tensor, tf.Tensor];
      const { inputShape: _, ...window } = attrs;
      return {
        dy: () => runKernel(forward, { x, filter }, { ...more, ...window }),
        filter: () => runKernel(backpropFilter, { x, dy }, { ...window, filterShape: filter.shape }),
      };
    },
  };
}

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

/**
 * Average pooling and its gradient kernel. The operation averages over the elements of a window that lie inside x, but
 * the gradient kernel divides by the size of the window, so tfjs's gradient is too small at a padded border. Both
 * directions correct for the ratio of the two. TensorFlow's gradient kernel is right.
 */
function averagePooling(kernelName: string, gradKernelName: string): Gradient[] {
  return [
    {
      kernelName,
      inputsToSave: ['x'],
      gradFunc: (dy, saved, attrs) => {
        const x = saved[0] as tf.Tensor;
        const inside = coverage(x.shape, dy as tf.Tensor, attrs as unknown as WindowAttributes);
        return {
          x: () =>
            runKernel(
              gradKernelName,
              { dy: inside ? tf.div(dy as tf.Tensor, inside) : (dy as tf.Tensor), input: x },
              attrs,
            ),
        };
      },
    },
    {
      kernelName: gradKernelName,
      inputsToSave: ['input'],
      gradFunc: (upstream, saved, attrs) => {
        const input = saved[0] as tf.Tensor;
        return {
          dy: () => {
            const averages = runKernel(kernelName, { x: upstream as tf.Tensor }, attrs);
            const inside = coverage(input.shape, averages, attrs as unknown as WindowAttributes);
            return inside ? tf.mul(averages, inside) : averages;
          },
          input: () => zeroGradient(input),
        };
      },
    },
  ];
}

interface WindowAttributes {
  filterSize: number | number[];
  strides: number | number[];
  pad: 'same' | 'valid' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/**
 * The part of each window that lies inside x, in the shape of one channel of y; `undefined` if all of each does, or if the
 * gradient kernel knows it.
 */
function coverage(xShape: number[], y: tf.Tensor, attrs: WindowAttributes): tf.Tensor | undefined {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  // Pools that are padded by numbers run on tfjs's CPU backend there.
  if (tf.getBackend() === 'tensorflow' && (typeof pad === 'string' || pad === 0)) return undefined;
  const windows =
    xShape.length === 5
      ? tf.backend_util.computePool3DInfo(
          xShape as Shape5,
          filterSize as Triple,
          strides as Triple,
          1,
          pad,
          dimRoundingMode,
        )
      : tf.backend_util.computePool2DInfo(
          xShape as Shape4,
          filterSize as Pair,
          strides as Pair,
          1,
          pad,
          dimRoundingMode,
        );
  const axes: { size: number; stride: number; before: number }[] = [
    { size: windows.filterHeight, stride: windows.strideHeight, before: windows.padInfo.top },
    { size: windows.filterWidth, stride: windows.strideWidth, before: windows.padInfo.left },
  ];
  if ('filterDepth' in windows) {
    axes.unshift({ size: windows.filterDepth, stride: windows.strideDepth, before: windows.padInfo.front });
  }
  let parts = [1];
  axes.forEach(({ size, stride, before }, i) => {
    const along = Array.from({ length: y.shape[i + 1] as number }, (_, position) => {
      const begin = position * stride - before;
      return (Math.min(begin + size, xShape[i + 1] as number) - Math.max(begin, 0)) / size;
    });
    parts = parts.flatMap((part) => along.map((other) => part * other));
  });
  if (parts.every((part) => part === 1)) return undefined;
  return tf.tensor(parts, [1, ...y.shape.slice(1, -1), 1]);
}

type Pair = [number, number];
type Triple = [number, number, number];
type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];

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
  reads: [0],
  gradFunc: (upstream, saved, attrs) => {
    const [dy] = upstream as [tf.Tensor];
    const [input, output] = saved as [tf.Tensor, tf.Tensor];
    const { includeBatchInIndex: _, ...window } = attrs;
    return { x: () => runKernel(tf.MaxPoolGrad, { dy, input, output }, window) };
  },
};

/** Gradients of operations on windows, and the gradients of these. */
export const windowGradients: readonly Gradient[] = [
  conv2d,
  backpropFilter(CONVOLUTION),
  ...[DEPTHWISE, CONVOLUTION_3D].flatMap((convolution) => [backpropFilter(convolution), backpropInput(convolution)]),
  ...averagePooling(tf.AvgPool, tf.AvgPoolGrad),
  ...averagePooling(tf.AvgPool3D, tf.AvgPool3DGrad),
  linear(tf.ResizeBilinearGrad, tf.ResizeBilinear, 'images', 'images'),
  linear(tf.ResizeNearestNeighborGrad, tf.ResizeNearestNeighbor, 'images', 'images'),
  maxPoolGrad,
  maxPoolWithArgmax,
];
