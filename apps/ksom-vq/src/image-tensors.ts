/** Pictures as tensors and back: standardised by the statistics of the training set, or scaled to [−1, 1]. */

import type { ChannelStatistics, ImageBatch } from '@fwp/datasets';
import { readValues } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';

/** Bytes to numbers and back. */
export interface PixelScale {
  /** float32 `[batch, height, width, channels]`; the caller disposes it. */
  toTensor(batch: ImageBatch): tf.Tensor4D;
  /** Bytes of `[batch, height, width, channels]`, cut off at 0 and 255. The images stay. */
  toBytes(images: tf.Tensor4D): Promise<Uint8Array>;
}

/** (byte − mean) / standard deviation, for each channel. */
export function standardized({ mean, standardDeviation }: ChannelStatistics): PixelScale {
  return affine(
    mean,
    standardDeviation.map((deviation) => Math.max(deviation, 1)),
  );
}

/** byte / 127.5 − 1. */
export function symmetric(channels: number): PixelScale {
  return affine(Array<number>(channels).fill(127.5), Array<number>(channels).fill(127.5));
}

function affine(offset: readonly number[], factor: readonly number[]): PixelScale {
  return {
    toTensor: ({ batchSize, height, width, channels, pixels }) =>
      tf.tidy(() => {
        const bytes = tf.tensor4d(new Float32Array(pixels), [batchSize, height, width, channels]);
        return tf.div(tf.sub(bytes, tf.tensor1d([...offset])), tf.tensor1d([...factor])) as tf.Tensor4D;
      }),
    toBytes: async (images) => {
      const bytes = await readValues(
        tf.tidy(() => tf.add(tf.mul(images, tf.tensor1d([...factor])), tf.tensor1d([...offset]))),
      );
      return new Uint8Array(bytes.map((value) => Math.min(255, Math.max(0, Math.round(value)))));
    },
  };
}
