/**
 * Pictures of one size as bytes, and batches of them. A picture depends on nothing but its number, so that any batch can be
 * asked for at any time.
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type Split } from '../task.ts';

/** Pictures of equal size. */
export interface ImageSet {
  /** Name of the set and its part, for example `'cifar10/train'`. Part of what decides the order of batches. */
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** 3 for red, green and blue; 1 for grey. */
  readonly channels: number;
  /** Pictures are 0 … count − 1. */
  readonly count: number;
  /** Class of each picture, where the set has classes. */
  readonly labels?: Uint8Array;
  /** Writes a picture, row by row and pixel by pixel, from 0 (dark) to 255, to an array of height · width · channels. */
  read(index: number, into: Uint8Array): void;
}

/** Other pictures in each split. */
export type ImageSplits = Readonly<Record<Split, ImageSet>>;

/** A batch of pictures. */
export interface ImageBatch {
  readonly batchSize: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Numbers of the pictures `[batchSize]`. */
  readonly indices: Int32Array;
  /** `[batchSize, height, width, channels]`, 0 to 255. */
  readonly pixels: Uint8Array;
}

/** Mean and standard deviation of each channel's bytes, by which pictures are standardised. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly standardDeviation: readonly number[];
}

/** The pictures with these numbers, in this order. */
export function takeImages(set: ImageSet, indices: ArrayLike<number>): ImageBatch {
  const { height, width, channels, count } = set;
  const size = height * width * channels;
  const pixels = new Uint8Array(indices.length * size);
  const taken = Int32Array.from(indices);
  taken.forEach((index, row) => {
    assertInteger(`${set.name}: number of a picture`, indices[row] as number, 0, count - 1);
    set.read(index, pixels.subarray(row * size, (row + 1) * size));
  });
  return { batchSize: taken.length, height, width, channels, indices: taken, pixels };
}

/**
 * Batches in random order: each picture once in an epoch of ⌊count / batchSize⌋ batches, up to the few that are left over.
 *
 * @returns batch number `index`, from 0, a pure function of set, seed and batchSize
 * @throws RangeError if a batch has more pictures than the set
 */
export function shuffledImages(
  set: ImageSet,
  { batchSize, seed = 0 }: { readonly batchSize: number; readonly seed?: number },
): (index: number) => ImageBatch {
  assertInteger('shuffledImages: batchSize', batchSize, 1, set.count);
  const perEpoch = Math.floor(set.count / batchSize);
  let known: { readonly epoch: number; readonly order: Int32Array } | undefined;
  return (index) => {
    assertInteger('shuffledImages: index', index, 0);
    const epoch = Math.floor(index / perEpoch);
    if (known?.epoch !== epoch) {
      const random: Random = createRandom(seed, 'shuffled-images', set.name, epoch);
      known = { epoch, order: random.permutation(set.count) };
    }
    const begin = (index % perEpoch) * batchSize;
    return takeImages(set, known.order.subarray(begin, begin + batchSize));
  };
}

/**
 * Mean and standard deviation of each channel over the first `images` pictures of a set.
 *
 * @param images default: all
 */
export function channelStatistics(set: ImageSet, images: number = set.count): ChannelStatistics {
  assertInteger('channelStatistics: images', images, 1, set.count);
  const { height, width, channels } = set;
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  const picture = new Uint8Array(height * width * channels);
  for (let index = 0; index < images; index++) {
    set.read(index, picture);
    picture.forEach((byte, place) => {
      sums[place % channels]! += byte;
      squares[place % channels]! += byte * byte;
    });
  }
  const pixels = images * height * width;
  const mean = Array.from(sums, (sum) => sum / pixels);
  const variance = (channel: number) =>
    Math.max(0, (squares[channel] as number) / pixels - (mean[channel] as number) ** 2);
  return { mean, standardDeviation: mean.map((_, channel) => Math.sqrt(variance(channel))) };
}

/** A part of a set: the pictures whose numbers are given. */
export function imageSubset(set: ImageSet, name: string, indices: Int32Array): ImageSet {
  const { labels, height, width, channels } = set;
  return {
    ...{ name, height, width, channels, count: indices.length },
    ...(labels === undefined ? {} : { labels: new Uint8Array(indices.map((index) => labels[index] as number)) }),
    read: (index, into) => set.read(indices[index] as number, into),
  };
}
