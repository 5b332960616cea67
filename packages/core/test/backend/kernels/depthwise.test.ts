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

const size = fc.integer({ min: 1, max: 14 });
const small = fc.integer({ min: 1, max: 4 });

function run(name: string, inputs: Record<string, tf.Tensor>, attrs: object): Float32Array {
  const backend = tf.backend();
  const output = kernels[name]!({ inputs, attrs, backend } as never) as tf.TensorInfo;
  const values = backend.readSync(output.dataId) as Float32Array;
  backend.disposeData(output.dataId);
  return values;
}

describe.each(await availableDevices())('depthwise convolution on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('and its gradients agree with float64', () => {
    const channels = fc.constantFrom(1, 3, 4, 8, 15, 16, 17, 40);
    const pad = fc.constantFrom('same' as const, 'valid' as const);
    fc.assert(
      fc.property(
        small,
        size,
        size,
        channels,
        small,
        small,
        small,
        small,
        pad,
        (n, h, w, c, kh, kw, sh, sw, padding) => {
          if (padding === 'valid' && (kh > h || kw > w)) return;
          const info = tf.backend_util.computeConv2DInfo(
            [n, h, w, c],
            [kh, kw, c, 1],
            [sh, sw],
            1,
            padding,
            undefined,
            true,
          );
          const g: Geometry = {
            ...info,
            ...{ batch: n, channels: c, outputs: c, top: info.padInfo.top, left: info.padInfo.left },
          };
          const [x, filter, dy] = [
            noiseTensor([n, h, w, c], 1),
            noiseTensor([kh, kw, c, 1], 2),
            noiseTensor(info.outShape, 3),
          ];
          const attrs = {
            strides: [sh, sw],
            pad: padding,
            dilations: [1, 1],
            inputShape: x.shape,
            filterShape: filter.shape,
          };
          const y = convolutionReference(g, x.dataSync(), filter.dataSync(), true);
          expectClose(run('DepthwiseConv2dNative', { x, filter }, attrs), y.values, y.scale, 'y');
          const dx = convolutionInputGradient(g, dy.dataSync(), filter.dataSync(), true);
          expectClose(run('DepthwiseConv2dNativeBackpropInput', { dy, filter }, attrs), dx.values, dx.scale, 'dx');
          const dFilter = convolutionFilterGradient(g, x.dataSync(), dy.dataSync(), true);
          expectClose(
            run('DepthwiseConv2dNativeBackpropFilter', { x, dy }, attrs),
            dFilter.values,
            dFilter.scale,
            'dF',
          );
          tf.dispose([x, filter, dy]);
        },
      ),
    );
  });

  it('dilates, pads and fuses as tfjs does', () => {
    const x = noiseTensor([2, 12, 11, 20], 1);
    const filter = noiseTensor([3, 2, 20, 1], 2);
    const explicit = [
      [0, 0],
      [2, 1],
      [0, 3],
      [0, 0],
    ];
    for (const [dilations, pad] of [
      [[1, 1], 'same'],
      [[2, 3], 'same'],
      [[2, 1], 'valid'],
      [[1, 1], explicit],
      [[1, 1], 2],
    ] as const) {
      const attrs = { strides: [1, 1], pad, dilations };
      expectSameAsTfjs('DepthwiseConv2dNative', { x, filter }, attrs, 1e-5);
      for (const activation of ['linear', 'relu6', 'sigmoid', 'prelu']) {
        const slopes = activation === 'prelu' ? { preluActivationWeights: noiseTensor([20], 4) } : {};
        const inputs = { x, filter, bias: noiseTensor([20], 3), ...slopes };
        expectSameAsTfjs('FusedDepthwiseConv2D', inputs, { ...attrs, activation }, 1e-5);
      }
    }
  });

  it('keeps several filters per channel working', () => {
    const x = noiseTensor([1, 5, 5, 2], 1) as tf.Tensor4D;
    const filter = noiseTensor([2, 2, 2, 3], 2) as tf.Tensor4D;
    const y = tf.depthwiseConv2d(x, filter, 1, 'valid');
    expect(y.shape).toEqual([1, 4, 4, 6]);
    const single = tf.depthwiseConv2d(x, tf.slice(filter, [0, 0, 0, 1], [2, 2, 2, 1]), 1, 'valid');
    const expected = tf.stridedSlice(y, [0, 0, 0, 1], [1, 4, 4, 6], [1, 1, 1, 3]).dataSync();
    expectClose(single.dataSync(), expected, expected.map(Math.abs), 'filter 1 of 3');
  });

  it('refuses strides together with dilations', () => {
    const x = tf.zeros([1, 5, 5, 2]) as tf.Tensor4D;
    const filter = tf.zeros([2, 2, 2, 1]) as tf.Tensor4D;
    expect(() => tf.depthwiseConv2d(x, filter, 2, 'valid', 'NHWC', 2)).toThrow(/Either strides or dilations must be 1/);
  });

  it('sums the same bits for 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const [x, filter] = [noiseTensor([6, 17, 19, 37], 1), noiseTensor([3, 3, 37, 1], 2)];
      const dy = noiseTensor([6, 17, 19, 37], 3);
      const attrs = { strides: [1, 1], pad: 'same', dilations: [1, 1], inputShape: x.shape, filterShape: filter.shape };
      return [
        run('DepthwiseConv2dNative', { x, filter }, attrs),
        run('DepthwiseConv2dNativeBackpropInput', { dy, filter }, attrs),
        run('DepthwiseConv2dNativeBackpropFilter', { x, dy }, attrs),
      ];
    });
    await init(options);
  });
});
