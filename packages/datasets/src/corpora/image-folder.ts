/**
 * Folders of pictures, PNG and JPEG of any size, as ImageNet, CelebA-HQ or AFHQ have them: each picture's middle square,
 * reduced or enlarged to one size.
 */

import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { ImageSet } from '../images/image-set.ts';
import { assertInteger } from '../task.ts';
import { MissingDataError } from './corpus.ts';
import { type DecodedImage, decodeImage } from './decode-image.ts';

/** Options of {@link openImageFolder}. */
export interface ImageFolderOptions {
  /** Height and width of the pictures that it gives. Default 256. */
  readonly size?: number;
  /** Bytes of decoded pictures that are kept. Default 1 GiB. */
  readonly cacheBytes?: number;
}

const ENDING = /\.(png|jpe?g)$/i;

/**
 * Opens all pictures in a folder and its subfolders, in the order of their paths. A picture is decoded when it is asked for.
 *
 * @param path the folder
 * @throws MissingDataError if there is no such folder, or no picture in it
 * @throws Error when a picture is read that can't be decoded
 */
export async function openImageFolder(
  path: string,
  { size = 256, cacheBytes = 2 ** 30 }: ImageFolderOptions = {},
): Promise<ImageSet> {
  assertInteger('openImageFolder: size', size, 1, 4096);
  assertInteger('openImageFolder: cacheBytes', cacheBytes, 0);
  const folder = resolve(path);
  const entries = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new MissingDataError(`The folder of pictures ${folder} can't be read: ${error.message}.`, { cause: error });
  });
  const names = entries
    .filter((name) => ENDING.test(name))
    .map((name) => name.replaceAll(sep, '/'))
    .sort();
  if (names.length === 0) throw new MissingDataError(`There is no .png, .jpg or .jpeg file in ${folder}.`);
  const bytes = size * size * 3;
  const cache = new Map<number, Uint8Array>();
  const read = (index: number, into: Uint8Array): void => {
    const kept = cache.get(index);
    if (kept !== undefined) {
      into.set(kept);
      return;
    }
    const file = join(folder, names[index] as string);
    const picture = middleSquare(decodeImage(file, readFileSync(file)), size);
    if ((cache.size + 1) * bytes <= cacheBytes) cache.set(index, picture);
    into.set(picture);
  };
  return { name: `images/${folder}`, height: size, width: size, channels: 3, count: names.length, read };
}

/**
 * The largest square in the middle of a picture, brought to `size` × `size`: each new pixel is the mean of the area that it
 * covers, or, where that is less than a pixel, an interpolation.
 */
export function middleSquare({ height, width, pixels }: DecodedImage, size: number): Uint8Array {
  const side = Math.min(height, width);
  const [top, left] = [Math.floor((height - side) / 2), Math.floor((width - side) / 2)];
  const weights = Array.from({ length: size }, (_, i) => weightsOf(i, size, side));
  // Columns first, then rows.
  const narrow = new Float64Array(side * size * 3);
  for (let row = 0; row < side; row++) {
    weights.forEach(({ first, shares }, column) => {
      shares.forEach((share, i) => {
        const from = ((top + row) * width + left + first + i) * 3;
        for (let c = 0; c < 3; c++) narrow[(row * size + column) * 3 + c]! += share * (pixels[from + c] as number);
      });
    });
  }
  const result = new Uint8Array(size * size * 3);
  weights.forEach(({ first, shares }, row) => {
    for (let place = 0; place < size * 3; place++) {
      const sum = shares.reduce(
        (total, share, i) => total + share * (narrow[(first + i) * size * 3 + place] as number),
        0,
      );
      result[row * size * 3 + place] = Math.round(sum);
    }
  });
  return result;
}

/** Of which of `side` old pixels the new pixel `index` of `size` is made, with shares that add up to 1. */
function weightsOf(index: number, size: number, side: number): { first: number; shares: number[] } {
  const scale = side / size;
  if (scale <= 1) {
    const place = Math.min(side - 1, Math.max(0, (index + 0.5) * scale - 0.5));
    const first = Math.min(Math.floor(place), Math.max(0, side - 2));
    return side === 1 ? { first: 0, shares: [1] } : { first, shares: [first + 1 - place, place - first] };
  }
  const [begin, end] = [index * scale, (index + 1) * scale];
  const first = Math.floor(begin + 1e-9);
  const last = Math.min(side, Math.ceil(end - 1e-9));
  const shares = Array.from(
    { length: last - first },
    (_, i) => Math.min(end, first + i + 1) - Math.max(begin, first + i),
  );
  return { first, shares: shares.map((share) => share / scale) };
}
