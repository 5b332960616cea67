import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernels } from '../../../src/backend/kernels/index.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import {
  convolutionFilterGradient,
  convolutionInputGradient,
  convolutionReference,
  type Geometry,
} from '../../reference/convolution.ts';
import { expectClose, noiseTensor } from './noise.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';

type Shape4 = [number, number, number, number];

const pair = (least: number, most: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));

/** Geometries that have at least one output, with explicit padding that may be larger than the filter. */
const geometry: fc.Arbitrary<Geometry> = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    image: pair(1, 17),
    channels: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(16, 19)),
    filter: pair(1, 5),
    outputs: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(32, 50)),
    strides: pair(1, 3),
    dilations: pair(1, 2),
    before: pair(0, 3),
    after: pair(0, 3),
  })
  .map(({ batch, image, channels, filter, outputs, strides, dilations, before, after }) => {
    const window = filter.map((taps, d) => (taps - 1) * dilations[d]! + 1);
    const out = image.map((size, d) => Math.floor((size + before[d]! + after[d]! - window[d]!) / strides[d]!) + 1);
    return {
      ...{ batch, inHeight: image[0], inWidth: image[1], channels, outputs },
      ...{ filterHeight: filter[0], filterWidth: filter[1], strideHeight: strides[0], strideWidth: strides[1] },
      ...{ dilationHeight: dilations[0], dilationWidth: dilations[1], top: before[0], left: before[1] },
      ...{ outHeight: out[0]!, outWidth: out[1]! },
    };
  })
  .filter(({ outHeight, outWidth }) => outHeight > 0 && outWidth > 0);

/** tfjs's attributes of a geometry. */
function attributes(g: Geometry): object {
  const bottom = (g.outHeight - 1) * g.strideHeight + (g.filterHeight - 1) * g.dilationHeight + 1 - g.inHeight - g.top;
  const right = (g.outWidth - 1) * g.strideWidth + (g.filterWidth - 1) * g.dilationWidth + 1 - g.inWidth - g.left;
  return {
    strides: [g.strideHeight, g.strideWidth],
    dilations: [g.dilationHeight, g.dilationWidth],
    pad: [
      [0, 0],
      [g.top, bottom],
      [g.left, right],
      [0, 0],
    ],
    dataFormat: 'NHWC',
    inputShape: [g.batch, g.inHeight, g.inWidth, g.channels],
    filterShape: [g.filterHeight, g.filterWidth, g.channels, g.outputs],
  };
}

function run(name: string, inputs: Record<string, tf.Tensor>, attrs: object): Float32Array {
  const backend = tf.backend();
  const output = kernels[name]!({ inputs, attrs, backend } as never) as tf.TensorInfo;
  const values = backend.readSync(output.dataId) as Float32Array;
  backend.disposeData(output.dataId);
  return values;
}

const imageShape = (g: Geometry): Shape4 => [g.batch, g.inHeight, g.inWidth, g.channels];
const filterShape = (g: Geometry): Shape4 => [g.filterHeight, g.filterWidth, g.channels, g.outputs];
const outputShape = (g: Geometry): Shape4 => [g.batch, g.outHeight, g.outWidth, g.outputs];

describe.each(await availableDevices())('convolution on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('agrees with float64 for all strides, dilations and paddings', () => {
    fc.assert(
      fc.property(geometry, (g) => {
        const [x, filter] = [noiseTensor(imageShape(g), 1), noiseTensor(filterShape(g), 2)];
        const { values, scale } = convolutionReference(g, x.dataSync(), filter.dataSync());
        expectClose(run('Conv2D', { x, filter }, attributes(g)), values, scale, 'y');
        tf.dispose([x, filter]);
      }),
    );
  });

  it('has the gradients of the float64 reference for all strides and paddings', () => {
    fc.assert(
      fc.property(geometry, (dilated) => {
        const g = {
          ...dilated,
          ...{ dilationHeight: 1, dilationWidth: 1 },
          outHeight: Math.max(1, Math.min(dilated.outHeight, dilated.inHeight)),
          outWidth: Math.max(1, Math.min(dilated.outWidth, dilated.inWidth)),
        };
        const [x, filter, dy] = [
          noiseTensor(imageShape(g), 1),
          noiseTensor(filterShape(g), 2),
          noiseTensor(outputShape(g), 3),
        ];
        const dx = convolutionInputGradient(g, dy.dataSync(), filter.dataSync());
        expectClose(run('Conv2DBackpropInput', { dy, filter }, attributes(g)), dx.values, dx.scale, 'dx');
        const dFilter = convolutionFilterGradient(g, x.dataSync(), dy.dataSync());
        expectClose(run('Conv2DBackpropFilter', { x, dy }, attributes(g)), dFilter.values, dFilter.scale, 'dF');
        tf.dispose([x, filter, dy]);
      }),
    );
  });

  it.each([
    { name: 'many channels', shape: [1, 6, 9, 130], filter: [3, 3, 130, 70], stride: 1 },
    { name: 'a first layer', shape: [3, 32, 32, 3], filter: [3, 3, 3, 24], stride: 1 },
    { name: 'a wide image', shape: [1, 3, 1500, 24], filter: [3, 5, 24, 4], stride: 2 },
    { name: 'pointwise filters', shape: [3, 13, 9, 40], filter: [1, 1, 40, 33], stride: 1 },
    { name: 'strided pointwise filters', shape: [3, 13, 9, 40], filter: [1, 1, 40, 33], stride: 2 },
    { name: 'images of one pixel', shape: [30, 1, 1, 20], filter: [3, 3, 20, 5], stride: 1 },
  ] as const)('agrees with float64 for $name', ({ shape, filter: filterSizes, stride }) => {
    const info = tf.backend_util.computeConv2DInfo([...shape], [...filterSizes], stride, 1, 'same');
    const g: Geometry = {
      ...info,
      ...{ batch: info.batchSize, channels: info.inChannels, outputs: info.outChannels },
      ...{ top: info.padInfo.top, left: info.padInfo.left },
    };
    const [x, filter, dy] = [
      noiseTensor([...shape], 1),
      noiseTensor([...filterSizes], 2),
      noiseTensor(info.outShape, 3),
    ];
    const y = convolutionReference(g, x.dataSync(), filter.dataSync());
    expectClose(run('Conv2D', { x, filter }, attributes(g)), y.values, y.scale, 'y');
    const dx = convolutionInputGradient(g, dy.dataSync(), filter.dataSync());
    expectClose(run('Conv2DBackpropInput', { dy, filter }, attributes(g)), dx.values, dx.scale, 'dx');
    const dFilter = convolutionFilterGradient(g, x.dataSync(), dy.dataSync());
    expectClose(run('Conv2DBackpropFilter', { x, dy }, attributes(g)), dFilter.values, dFilter.scale, 'dF');
    tf.dispose([x, filter, dy]);
  });

  it('does what tfjs does for its kinds of padding and rounding', () => {
    const x = noiseTensor([2, 10, 9, 4], 1);
    const filter = noiseTensor([3, 2, 4, 6], 2);
    for (const pad of ['same', 'valid', 0, 1] as const) {
      for (const strides of [
        [1, 1],
        [2, 2],
        [3, 1],
      ] as const) {
        for (const dimRoundingMode of typeof pad === 'number' ? (['floor', 'ceil', 'round'] as const) : [undefined]) {
          const attrs = { strides, pad, dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode };
          const { outShape } = tf.backend_util.computeConv2DInfo(
            x.shape as Shape4,
            filter.shape as Shape4,
            [...strides] as [number, number],
            1,
            pad,
            dimRoundingMode,
          );
          const dy = noiseTensor(outShape, 3);
          expectSameAsTfjs('Conv2D', { x, filter }, attrs, 1e-5);
          expectSameAsTfjs('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape }, 1e-5);
          expectSameAsTfjs('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape }, 1e-5);
        }
      }
    }
  });

  it('fuses any bias and activation as tfjs does', () => {
    const x = noiseTensor([2, 5, 6, 3], 1);
    const filter = noiseTensor([3, 3, 3, 20], 2);
    const pointwise = noiseTensor([1, 1, 3, 20], 3);
    for (const biasShape of [undefined, [20], [], [1], [1, 1, 1, 20], [6, 1]]) {
      for (const activation of [undefined, 'linear', 'relu', 'relu6', 'elu', 'leakyrelu', 'sigmoid', 'prelu']) {
        for (const kernel of [filter, pointwise]) {
          const inputs = {
            ...{ x, filter: kernel },
            ...(biasShape && { bias: noiseTensor(biasShape, 4) }),
            ...(activation === 'prelu' && { preluActivationWeights: noiseTensor([20], 5) }),
          };
          const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
          expectSameAsTfjs('FusedConv2D', inputs, { ...attrs, activation, leakyreluAlpha: 0.3 }, 1e-5);
        }
      }
    }
  });

  it('keeps channels-first images working', () => {
    const x = tf.reshape(tf.range(0, 32, 1, 'float32'), [1, 2, 4, 4]) as tf.Tensor4D;
    const filter = tf.ones([3, 3, 2, 1]) as tf.Tensor4D;
    const first = tf.conv2d(x, filter, 1, 'valid', 'NCHW');
    const last = tf.transpose(
      tf.conv2d(tf.transpose(x, [0, 2, 3, 1]) as tf.Tensor4D, filter, 1, 'valid'),
      [0, 3, 1, 2],
    );
    expect([...first.dataSync()]).toEqual([...last.dataSync()]);
  });

  it('sums the same bits for 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const [x, filter] = [noiseTensor([6, 17, 19, 11], 1), noiseTensor([3, 3, 11, 40], 2)];
      const attrs = { strides: [2, 2], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
      const dy = noiseTensor([6, 9, 10, 40], 3);
      return [
        run('Conv2D', { x, filter }, attrs),
        run('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape }),
        run('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape }),
      ];
    });
    await init(options);
  });

  it('accepts batches of zero images', () => {
    const x = tf.zeros([0, 4, 4, 2]) as tf.Tensor4D;
    const filter = tf.ones([3, 3, 2, 5]) as tf.Tensor4D;
    expect(tf.conv2d(x, filter, 1, 'same').shape).toEqual([0, 4, 4, 5]);
    const dFilter = run(
      'Conv2DBackpropFilter',
      { x, dy: tf.zeros([0, 4, 4, 5]) },
      { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 2, 5] },
    );
    expect([...dFilter].every((value) => value === 0)).toBe(true);
  });
});
