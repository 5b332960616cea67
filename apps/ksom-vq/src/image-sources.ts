/** The pictures of the experiments, divided into training and validation, with the scale in which they are learned. */

import { channelStatistics, createRandom, type ImageSet, imageSubset, proceduralImages } from '@fwp/datasets';
import { openCifar10 } from '@fwp/datasets/corpora';
import { type PixelScale, standardized } from './image-tensors.ts';

/** Sources of small pictures by name. */
export const IMAGE_SOURCES = ['procedural', 'cifar10'] as const;
export type ImageSourceName = (typeof IMAGE_SOURCES)[number];

/** Pictures for an experiment. */
export interface Images {
  readonly train: ImageSet;
  readonly validation: ImageSet;
  readonly scale: PixelScale;
}

/** The authors use four fifths of CIFAR-10's training pictures for training, always the same. */
const TRAIN_SHARE = 0.8;
/** Made-up pictures whose statistics are taken for those of all. */
const SAMPLE = 500;

/** The pictures of a name, standardised by the statistics of the training pictures. */
export async function openImages(name: ImageSourceName, seed: number): Promise<Images> {
  if (name === 'procedural') {
    const { train, validation } = proceduralImages({ seed });
    return { train, validation, scale: standardized(channelStatistics(train, SAMPLE)) };
  }
  const { train: all } = await openCifar10();
  const order = createRandom(0, 'cifar10-validation').permutation(all.count);
  const border = Math.floor(TRAIN_SHARE * all.count);
  const train = imageSubset(all, 'cifar10/train', order.slice(0, border));
  const validation = imageSubset(all, 'cifar10/validation', order.slice(border));
  return { train, validation, scale: standardized(channelStatistics(train)) };
}
