/**
 * Convolutions and pools on device `tensorflow`. Padded by numbers of pixels the kernels of tfjs-node refuse them: of convolutions
 * the input is padded first, and the gradient of its margin is cut off; pools, which leave their margin out of account, and
 * convolutions of each channel by itself run on tfjs's CPU backend.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Repair } from './tensorflow-kernels.ts';

type Pair = [number, number];

/** What the kernels of a convolution are told about its geometry. */
interface Geometry {
  readonly strides: Pair | number;
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly dilations?: Pair | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Zeros before and after each axis of the input; undefined where the stock knows what to do. */
function marginsOf(inputShape: number[], filterShape: number[], geometry: Geometry): Pair[] | undefined {
  const { strides, pad, dataFormat, dilations = 1, dimRoundingMode } = geometry;
  if (typeof pad === 'string' || pad === 0) return undefined;
  const { padInfo, outHeight, outWidth, ...info } = tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    ...([strides, dilations, pad, dimRoundingMode, false] as const),
    tf.backend_util.convertConv2DDataFormat(dataFormat),
  );
  // Where a size is rounded up, the last window reaches beyond the margin.
  const after = (margin: Pair, size: number, reach: number): Pair => [
    margin[0],
    Math.max(margin[1], reach - size - margin[0]),
  ];
  const reachOf = (outputs: number, stride: number, filter: number): number => (outputs - 1) * stride + filter;
  const { effectiveFilterHeight, effectiveFilterWidth, strideHeight, strideWidth, inHeight, inWidth } = info;
  const height = after(
    [padInfo.top, padInfo.bottom],
    inHeight,
    reachOf(outHeight, strideHeight, effectiveFilterHeight),
  );
  const width = after([padInfo.left, padInfo.right], inWidth, reachOf(outWidth, strideWidth, effectiveFilterWidth));
  return dataFormat === 'NHWC' ? [[0, 0], height, width, [0, 0]] : [[0, 0], [0, 0], height, width];
}

/** Convolutions, and their gradients with respect to filters: they see the padded input. */
const withPaddedInput =
  (filterShapeOf: (call: Parameters<tf.KernelFunc>[0]) => number[]): Repair =>
  (stock) =>
  (call) => {
    const x = call.inputs['x'] as tf.Tensor;
    const margins = marginsOf(x.shape, filterShapeOf(call), call.attrs as unknown as Geometry);
    if (margins === undefined) return stock(call);
    const padded = tf.pad(x, margins);
    try {
      return stock({ ...call, inputs: { ...call.inputs, x: padded }, attrs: { ...call.attrs, pad: 'valid' } });
    } finally {
      padded.dispose();
    }
  };

/** Gradients with respect to inputs, and transposed convolutions: the padded input's, of which the margin is cut off. */
const withMarginCutOff: Repair = (stock) => (call) => {
  const { inputShape } = call.attrs as unknown as { readonly inputShape: number[] };
  const filter = call.inputs['filter'] as tf.Tensor;
  const margins = marginsOf(inputShape, filter.shape, call.attrs as unknown as Geometry);
  if (margins === undefined) return stock(call);
  const paddedShape = inputShape.map((size, axis) => size + (margins[axis] as Pair)[0] + (margins[axis] as Pair)[1]);
  const whole = stock({ ...call, attrs: { ...call.attrs, pad: 'valid', inputShape: paddedShape } }) as tf.Tensor;
  try {
    const begin = margins.map(([before]) => before);
    return tf.slice(whole, begin, inputShape);
  } finally {
    whole.dispose();
  }
};

/**
 * TensorFlow 2.21 (oneDNN) leaves all taps but one out of the gradient with respect to an input of one channel where the output
 * has one as well; a second channel of zeros brings them back.
 */
const withTwoChannels: Repair = (stock) => (call) => {
  const [dy, filter] = [call.inputs['dy'] as tf.Tensor, call.inputs['filter'] as tf.Tensor4D];
  if (filter.shape[2] !== 1 || filter.shape[3] !== 1) return stock(call);
  const axis = (call.attrs as unknown as Geometry).dataFormat === 'NHWC' ? 3 : 1;
  const wider = [
    tf.pad(
      dy,
      [0, 1, 2, 3].map((each): Pair => [0, each === axis ? 1 : 0]),
    ),
    tf.pad4d(filter, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 1],
    ]),
  ] as const;
  try {
    return stock({ ...call, inputs: { ...call.inputs, dy: wider[0], filter: wider[1] } });
  } finally {
    tf.dispose([...wider]);
  }
};

const onCpuWherePadded: Repair = (stock, onCpu) => (call) => {
  const { pad } = call.attrs as unknown as Geometry;
  return (typeof pad === 'string' || pad === 0 ? stock : onCpu)(call);
};

const filterShape = ({ inputs }: Parameters<tf.KernelFunc>[0]): number[] => (inputs['filter'] as tf.Tensor).shape;

/** Repairs by the kernel's name. */
export const WINDOW_REPAIRS: Readonly<Record<string, Repair>> = {
  [tf.Conv2D]: withPaddedInput(filterShape),
  [tf.FusedConv2D]: withPaddedInput(filterShape),
  [tf.Conv2DBackpropFilter]: withPaddedInput(
    ({ attrs }) => (attrs as unknown as { filterShape: number[] }).filterShape,
  ),
  [tf.Conv2DBackpropInput]: (stock, onCpu) => withMarginCutOff(withTwoChannels(stock, onCpu), onCpu),
  ...Object.fromEntries(
    [
      ...[tf.DepthwiseConv2dNative, tf.FusedDepthwiseConv2D],
      ...[tf.AvgPool, tf.AvgPoolGrad, tf.MaxPool, tf.MaxPoolGrad],
      ...[tf.AvgPool3D, tf.AvgPool3DGrad, tf.MaxPool3D, tf.MaxPool3DGrad],
    ].map((name) => [name, onCpuWherePadded]),
  ),
};
