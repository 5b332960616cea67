/**
 * Pictures and labels in IDX files, as those of MNIST (LeCun, Bottou, Bengio, Haffner 1998) and Fashion-MNIST (Xiao, Rasul,
 * Vollgraf 2017): two zero bytes, a byte for the type of the elements, one for the number of extents, the extents as big-endian
 * 32-bit integers, and the elements. With or without gzip.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ImageSet } from '../images/image-set.ts';
import { CorruptDataError } from './checksum.ts';
import { dataFolder, MissingDataError } from './corpus.ts';

/** Options of {@link openMnist}. */
export interface MnistOptions {
  /** Which set. Default `'mnist'`. */
  readonly name?: 'mnist' | 'fashion-mnist';
  /** Folder of all data. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
}

/** Pictures as they were published. */
export interface Mnist {
  /** 60,000 pictures. */
  readonly train: ImageSet;
  /** 10,000 pictures. */
  readonly test: ImageSet;
}

/** What an IDX file of bytes holds. */
export interface IdxFile {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const HOMEPAGES = {
  mnist: 'http://yann.lecun.com/exdb/mnist/',
  'fashion-mnist': 'https://github.com/zalandoresearch/fashion-mnist',
};
const UNSIGNED_BYTE = 0x08;
const GZIP = [0x1f, 0x8b];

/**
 * Opens MNIST or Fashion-MNIST: grey pictures of 28 × 28 pixels with labels, from the files `train-images-idx3-ubyte`, … with
 * or without `.gz`, in `<dataDir>/<name>`. They are not downloaded.
 *
 * @throws MissingDataError if there are no files
 * @throws CorruptDataError if a file is damaged
 */
export async function openMnist({ name = 'mnist', dataDir = dataFolder() }: MnistOptions = {}): Promise<Mnist> {
  const folder = join(resolve(dataDir), name);
  const part = async (prefix: string, split: string) =>
    openIdxImages(
      `${name}/${split}`,
      find(folder, name, `${prefix}-images-idx3-ubyte`),
      find(folder, name, `${prefix}-labels-idx1-ubyte`),
    );
  return { train: await part('train', 'train'), test: await part('t10k', 'test') };
}

/**
 * Pictures of an IDX file, grey or, with a fourth extent, with channels.
 *
 * @param name what the set is called
 * @param images path of the pictures
 * @param labels path of their labels, if there are any
 * @throws CorruptDataError if a file is damaged, or they don't belong together
 */
export async function openIdxImages(name: string, images: string, labels?: string): Promise<ImageSet> {
  const { shape, data } = await readIdx(images);
  if (shape.length !== 3 && shape.length !== 4) {
    throw new CorruptDataError(
      images,
      `${images} has ${shape.length} extents, expected [pictures, rows, columns] or these and channels.`,
    );
  }
  const [count, height, width, channels = 1] = shape as [number, number, number, number?];
  const size = height * width * channels;
  const read = (index: number, into: Uint8Array): void => into.set(data.subarray(index * size, (index + 1) * size));
  const set = { name, height, width, channels, count, read };
  if (labels === undefined) return set;
  const known = await readIdx(labels);
  if (known.shape.length !== 1 || known.shape[0] !== count) {
    throw new CorruptDataError(
      labels,
      `${labels} has the extents [${known.shape.join(', ')}], but ${images} has ${count} pictures.`,
    );
  }
  return { ...set, labels: known.data };
}

/**
 * Reads an IDX file of bytes, compressed by gzip or not.
 *
 * @throws Error naming the file and the byte at which it is not what it should be
 */
export async function readIdx(path: string): Promise<IdxFile> {
  const raw = await readFile(path);
  let bytes: Uint8Array = raw;
  if (GZIP.every((byte, i) => raw[i] === byte)) {
    try {
      bytes = gunzipSync(raw);
    } catch (error) {
      throw new CorruptDataError(path, `${path} can't be unpacked: ${(error as Error).message}`, { cause: error });
    }
  }
  const problem = (what: string): Error => new CorruptDataError(path, `${path} is not an IDX file of bytes: ${what}.`);
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0) throw problem('it does not begin with two zeros');
  if (bytes[2] !== UNSIGNED_BYTE) throw problem(`byte 2, the type, is ${bytes[2]} instead of ${UNSIGNED_BYTE}`);
  const rank = bytes[3] as number;
  const begin = 4 + 4 * rank;
  if (bytes.length < begin) throw problem(`it ends at byte ${bytes.length}, within its ${rank} extents`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== begin + size) {
    throw problem(`it has ${bytes.length - begin} elements, but its extents [${shape.join(', ')}] say ${size}`);
  }
  return { shape, data: bytes.subarray(begin) };
}

function find(folder: string, name: keyof typeof HOMEPAGES, file: string): string {
  for (const path of [join(folder, file), join(folder, `${file}.gz`)]) {
    if (existsSync(path)) return path;
  }
  throw new MissingDataError(
    [
      `${name} is not on this machine. To provide it, fetch ${file}.gz and its companions, which`,
      `  ${HOMEPAGES[name]}`,
      'describes, and put them into',
      `  ${folder}`,
      `Another folder than ${resolve(folder, '..')} can be chosen with the environment variable FWP_DATA_DIR.`,
    ].join('\n'),
  );
}
