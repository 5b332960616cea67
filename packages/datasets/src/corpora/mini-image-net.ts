/**
 * Mini-ImageNet: 100 classes of ImageNet with 600 colour pictures each, 84 × 84 pixels; 64 classes for training, 16 for
 * validation, 20 for test. Vinyals et al., "Matching Networks for One Shot Learning" (2016); the split is that of Ravi and
 * Larochelle, "Optimization as a Model for Few-Shot Learning" (2017).
 *
 * Read from the files in which M. Ren provides it, pickles of the pictures and of the numbers of each class's pictures:
 *
 *     <dataDir>/mini-imagenet/mini-imagenet-cache-train.pkl, …-val.pkl, …-test.pkl
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ClassSource, ClassSplits } from '../few-shot/class-source.ts';
import { assertInteger, type Split } from '../task.ts';
import { CorruptDataError } from './checksum.ts';
import { dataFolder, MissingDataError } from './corpus.ts';
import { type ByteArray, isByteArray, readPickle } from './pickle.ts';

/** Options of {@link openMiniImageNet}. */
export interface MiniImageNetOptions {
  /** Folder of all data. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
  /** Rows and columns of a picture, from 1 to 84; smaller ones are averaged. Default 84. */
  readonly size?: number;
}

const PICTURE_SIZE = 84;
const CHANNELS = 3;
const FILES: Readonly<Record<Split, string>> = { train: 'train', validation: 'val', test: 'test' };
const HOMEPAGE = 'https://github.com/renmengye/few-shot-ssl-public';

/**
 * Opens Mini-ImageNet as classes for `fewShot`; `shape` is `[size, size, 3]`, values are 0 … 1. Classes are in the order of their
 * names. The pictures stay in memory as bytes, 1.3 GB in all.
 *
 * ```ts
 * const task = fewShot({ classes: await openMiniImageNet(), ways: 5, shots: 1 });
 * ```
 *
 * @throws MissingDataError if there are no files
 * @throws CorruptDataError if a file is damaged
 */
export async function openMiniImageNet({
  dataDir = dataFolder(),
  size = PICTURE_SIZE,
}: MiniImageNetOptions = {}): Promise<ClassSplits> {
  assertInteger('openMiniImageNet: size', size, 1, PICTURE_SIZE);
  const folder = join(resolve(dataDir), 'mini-imagenet');
  const pathOf = (split: Split) => join(folder, `mini-imagenet-cache-${FILES[split]}.pkl`);
  const missing = (Object.keys(FILES) as Split[]).map(pathOf).filter((path) => !existsSync(path));
  if (missing.length > 0) throw new MissingDataError(instructions(folder, missing));
  const open = async (split: Split) => openFile(pathOf(split), size);
  return { train: await open('train'), validation: await open('validation'), test: await open('test') };
}

async function openFile(path: string, size: number): Promise<ClassSource> {
  const { pictures, classes } = readContent(path, await readFile(path));
  const exampleCount = classes[0]?.length ?? 0;
  const [rows, columns] = [borders(size), borders(size)];
  const read = (classIndex: number, example: number, into: Float32Array): void => {
    const number = (classes[classIndex] as readonly number[])[example] as number;
    const picture = pictures.values.subarray(number * PICTURE_BYTES, (number + 1) * PICTURE_BYTES);
    if (size === PICTURE_SIZE) into.set(new Float32Array(picture).map((value) => value / 255));
    else reducePicture(picture, rows, columns, into);
  };
  return { name: 'mini-imagenet', shape: [size, size, CHANNELS], classCount: classes.length, exampleCount, read };
}

const PICTURE_BYTES = PICTURE_SIZE * PICTURE_SIZE * CHANNELS;

/** The pictures of a file, and for each class their numbers. */
function readContent(
  path: string,
  bytes: Uint8Array,
): { pictures: ByteArray; classes: readonly (readonly number[])[] } {
  try {
    const content = readPickle(bytes);
    if (!(content instanceof Map)) throw new Error('it holds no dictionary');
    const [pictures, members] = [content.get('image_data'), content.get('class_dict')];
    if (!isByteArray(pictures) || String(pictures.shape.slice(1)) !== `${PICTURE_SIZE},${PICTURE_SIZE},${CHANNELS}`) {
      throw new Error('image_data is no array [pictures, 84, 84, 3] of bytes');
    }
    if (!(members instanceof Map)) throw new Error('class_dict is no dictionary');
    const named = [...members.entries()].map(([name, numbers]) => [String(name), numbers] as const);
    const classes = named
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, numbers]) => {
        const count = pictures.shape[0] as number;
        if (!Array.isArray(numbers) || !numbers.every((n) => Number.isInteger(n) && n >= 0 && n < count)) {
          throw new Error(`the pictures of class ${name} are no list of numbers below ${count}`);
        }
        return numbers as number[];
      });
    const odd = classes.find((numbers) => numbers.length !== classes[0]?.length);
    if (odd !== undefined) throw new Error(`classes have ${classes[0]?.length} and ${odd.length} pictures`);
    return { pictures, classes };
  } catch (error) {
    throw new CorruptDataError(path, `${path} is not a file of Mini-ImageNet: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

/** For each row (or column) of a reduced picture, those of the picture that it covers, each with its share. */
function borders(size: number): readonly (readonly { readonly from: number; readonly share: number }[])[] {
  const extent = PICTURE_SIZE / size;
  return Array.from({ length: size }, (_, i) => {
    const [begin, end] = [i * extent, (i + 1) * extent];
    const first = Math.floor(begin);
    const covered = Array.from({ length: Math.min(PICTURE_SIZE, Math.ceil(end)) - first }, (_, k) => first + k);
    return covered.map((from) => ({ from, share: (Math.min(from + 1, end) - Math.max(from, begin)) / extent }));
  });
}

function reducePicture(
  picture: Uint8Array,
  rows: ReturnType<typeof borders>,
  columns: ReturnType<typeof borders>,
  into: Float32Array,
): void {
  let place = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = 0;
        for (const { from: y, share: height } of row) {
          for (const { from: x, share: width } of column) {
            sum += height * width * (picture[(y * PICTURE_SIZE + x) * CHANNELS + channel] as number);
          }
        }
        into[place++] = sum / 255;
      }
    }
  }
}

function instructions(folder: string, missing: readonly string[]): string {
  return [
    'Mini-ImageNet is not on this machine. To provide it, fetch mini-imagenet.tar.gz by the link of',
    `  ${HOMEPAGE}`,
    `and unpack it into ${folder}; what is missing there:`,
    ...missing.map((path) => `  ${path}`),
    `Another folder than ${resolve(folder, '..')} can be chosen with the environment variable FWP_DATA_DIR.`,
  ].join('\n');
}
