/**
 * CIFAR-10: 60,000 photographs of 32 × 32 pixels in ten classes. Krizhevsky, "Learning Multiple Layers of Features from Tiny
 * Images" (2009).
 *
 * Read from `<dataDir>/cifar10/cifar-10-binary.tar.gz`, which is fetched if it isn't there, or from the folder
 * `<dataDir>/cifar10/cifar-10-batches-bin` that it unpacks to. A record of the files is a byte for the class and 3072 for the
 * pixels: all red ones, then green, then blue.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseTarGzip } from 'nanotar';
import type { ImageSet } from '../images/image-set.ts';
import type { CorpusFile } from './catalog.ts';
import { CorruptDataError, verifyFile } from './checksum.ts';
import { dataFolder, MissingDataError } from './corpus.ts';
import { type DownloadOptions, download } from './download.ts';

/** Options of {@link openCifar10}. */
export interface Cifar10Options extends DownloadOptions {
  /** Folder of all data. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
  /** Whether to download what isn't there. Default `true`. */
  readonly download?: boolean;
}

/** The pictures of CIFAR-10 as they were published. */
export interface Cifar10 {
  /** 50,000 pictures. */
  readonly train: ImageSet;
  /** 10,000 pictures. */
  readonly test: ImageSet;
  /** Names of the classes, by label. */
  readonly classes: readonly string[];
}

/** Checksum as in TensorFlow Datasets. */
const ARCHIVE: CorpusFile & { readonly url: string } = {
  url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
  name: 'cifar-10-binary.tar.gz',
  bytes: 170_052_171,
  checksum: 'sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
};
const UNPACKED = 'cifar-10-batches-bin';
const TRAIN = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
const TEST = ['test_batch.bin'];
const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const SIDE = 32;
const AREA = SIDE * SIDE;
const RECORD = 1 + 3 * AREA;

/**
 * Opens CIFAR-10. All pictures are kept, a byte a sample: 180 MB.
 *
 * @throws MissingDataError if it isn't there and can't be downloaded
 * @throws CorruptDataError if a file is damaged
 */
export async function openCifar10({
  dataDir = dataFolder(),
  download: mayDownload = true,
  ...options
}: Cifar10Options = {}): Promise<Cifar10> {
  const folder = join(resolve(dataDir), 'cifar10');
  const read = existsSync(join(folder, UNPACKED))
    ? (name: string) => readFile(join(folder, UNPACKED, name))
    : await openArchive(folder, mayDownload, options);
  const [train, test] = [[], []] as [Uint8Array[], Uint8Array[]];
  for (const name of TRAIN) train.push(checked(name, await read(name)));
  for (const name of TEST) test.push(checked(name, await read(name)));
  return { train: imageSet('cifar10/train', train), test: imageSet('cifar10/test', test), classes: CLASSES };
}

/** Reads members of the archive, after fetching it if need be. */
async function openArchive(
  folder: string,
  mayDownload: boolean,
  options: DownloadOptions,
): Promise<(name: string) => Promise<Uint8Array>> {
  const path = join(folder, ARCHIVE.name);
  if (!(await verifyFile(path, ARCHIVE))) {
    if (!mayDownload) throw new MissingDataError(instructions(path, 'downloads are switched off'));
    await download(ARCHIVE.url, path, ARCHIVE, options).catch((error: Error) => {
      if (options.signal?.aborted) throw error;
      throw new MissingDataError(instructions(path, error.message), { cause: error });
    });
  }
  const members = await parseTarGzip(await readFile(path));
  return async (name) => {
    const data = members.find((member) => member.name.endsWith(`/${name}`))?.data;
    if (data === undefined) throw new CorruptDataError(path, `${path} does not contain ${name}.`);
    return data;
  };
}

function checked(name: string, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0 || bytes.length % RECORD !== 0) {
    throw new CorruptDataError(
      name,
      `${name} of CIFAR-10 has ${bytes.length} bytes, expected a multiple of ${RECORD}. Fetch it anew.`,
    );
  }
  const count = bytes.length / RECORD;
  for (let record = 0; record < count; record++) {
    const label = bytes[record * RECORD] as number;
    if (label < CLASSES.length) continue;
    throw new CorruptDataError(
      name,
      `${name} of CIFAR-10 has the class ${label} at byte ${record * RECORD}, expected 0 to 9.`,
    );
  }
  return bytes;
}

function imageSet(name: string, files: readonly Uint8Array[]): ImageSet {
  const counts = files.map(({ length }) => length / RECORD);
  const count = counts.reduce((sum, records) => sum + records, 0);
  const place = (index: number): readonly [file: Uint8Array, begin: number] => {
    let rest = index;
    let file = 0;
    while (rest >= (counts[file] as number)) rest -= counts[file++] as number;
    return [files[file] as Uint8Array, rest * RECORD];
  };
  const labels = Uint8Array.from({ length: count }, (_, index) => {
    const [file, begin] = place(index);
    return file[begin] as number;
  });
  const read = (index: number, into: Uint8Array): void => {
    const [file, begin] = place(index);
    for (let pixel = 0; pixel < AREA; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        into[3 * pixel + channel] = file[begin + 1 + channel * AREA + pixel] as number;
      }
    }
  };
  return { name, height: SIDE, width: SIDE, channels: 3, count, labels, read };
}

function instructions(path: string, reason: string): string {
  return [
    `CIFAR-10 is not on this machine and was not downloaded: ${reason.replace(/\.$/, '')}.`,
    'To provide it by hand, fetch',
    `  ${ARCHIVE.url}`,
    `  (${ARCHIVE.bytes} bytes, ${ARCHIVE.checksum})`,
    'and put it at',
    `  ${path}`,
    `Another folder than ${resolve(path, '../..')} can be chosen with the environment variable FWP_DATA_DIR.`,
  ].join('\n');
}
