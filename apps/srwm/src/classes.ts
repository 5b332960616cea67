/** Where classes come from: drawn by a procedure, or the pictures of Omniglot and Mini-ImageNet where their files are. */

import { type ClassSource, type ClassSplits, gaussianClasses, strokeCharacters, withRotations } from '@fwp/datasets';
import { openMiniImageNet, openOmniglot, VINYALS_SPLIT } from '@fwp/datasets/corpora';
import { z } from 'zod';

/** Names of sources. */
export const CLASS_SOURCES = ['gaussian', 'strokes', 'omniglot', 'omniglot-small', 'mini-imagenet'] as const;

export type ClassSourceName = (typeof CLASS_SOURCES)[number];

/** Settings of sources that draw their classes, and of pictures. */
export const classSettings = {
  features: z.int().min(1).default(16).describe('size of the vectors of gaussian classes'),
  deviation: z
    .number()
    .min(0)
    .default(0.5)
    .describe('standard deviation within a gaussian class; between classes it is 1'),
  trainClasses: z.int().min(1).default(1028).describe('character classes for training; before rotations'),
  imageSize: z.int().min(16).default(28).describe('rows and columns of pictures'),
  rotations: z
    .boolean()
    .default(true)
    .describe('whether characters turned by 90, 180, 270 degrees are further classes'),
};

const settings = z.object(classSettings);

/** Alphabets of the small sets of Omniglot that are kept for the test; of the other six, one is for validation. */
const SMALL_SPLIT = { validation: ['Korean'], test: ['Tagalog', 'Balinese'] };

/**
 * Opens a source.
 *
 * @throws MissingDataError if its files are not there; the message says what to fetch
 */
export async function openClasses(
  name: ClassSourceName,
  { features, deviation, trainClasses, imageSize: size, rotations }: z.infer<typeof settings>,
  seed: number,
): Promise<ClassSplits> {
  if (name === 'gaussian') return gaussianClasses({ size: features, deviation, seed });
  if (name === 'mini-imagenet') return openMiniImageNet({ size });

  const classes =
    name === 'strokes'
      ? keepClasses(strokeCharacters({ size, classes: { train: trainClasses, validation: 172, test: 423 }, seed }))
      : await openOmniglot({ size, ...(name === 'omniglot' ? VINYALS_SPLIT : SMALL_SPLIT) });
  return rotations ? { ...classes, train: withRotations(classes.train) } : classes;
}

/** The same classes, but each example is made only once, and kept. */
export function keepClasses({ train, validation, test }: ClassSplits): ClassSplits {
  return { train: keepExamples(train), validation: keepExamples(validation), test: keepExamples(test) };
}

function keepExamples(source: ClassSource): ClassSource {
  const kept = new Map<number, Float32Array>();
  const read = (classIndex: number, example: number, into: Float32Array): void => {
    const place = classIndex * source.exampleCount + example;
    const known = kept.get(place);
    if (known !== undefined) {
      into.set(known);
      return;
    }
    source.read(classIndex, example, into);
    kept.set(place, into.slice());
  };
  return { ...source, read };
}
