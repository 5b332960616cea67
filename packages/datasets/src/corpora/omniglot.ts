/**
 * Omniglot: 1623 handwritten characters of 50 alphabets, each drawn by 20 people, as pictures of 105 × 105 black or white
 * pixels. Lake, Salakhutdinov, Tenenbaum, "Human-level concept learning through probabilistic program induction" (2015).
 *
 * Read from the archives of the authors, or the folders that they unpack to:
 *
 *     <dataDir>/omniglot/images_background.zip          30 alphabets; or, for small experiments, eight of them:
 *     <dataDir>/omniglot/images_background_small1.zip     five of the eight
 *     <dataDir>/omniglot/images_background_small2.zip     five of the eight
 *     <dataDir>/omniglot/images_evaluation.zip          20 other alphabets
 */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { unzipSync } from 'fflate';
import { BITMAP_SIZE, type Bitmap, reduceBitmap } from '../few-shot/bitmap.ts';
import type { ClassSource, ClassSplits } from '../few-shot/class-source.ts';
import { assertInteger, mapSplits, type Split } from '../task.ts';
import { CorruptDataError } from './checksum.ts';
import { dataFolder, MissingDataError } from './corpus.ts';
import { decodeImage } from './decode-image.ts';

/** Options of {@link openOmniglot}. */
export interface OmniglotOptions {
  /** Folder of all data. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
  /** Rows and columns of a picture, from 1 to 105. Default 28. */
  readonly size?: number;
  /** Alphabets (`'Greek'`) or characters (`'Greek/character01'`) for validation. Default: none. */
  readonly validation?: readonly string[];
  /** The same for test. Default: the alphabets of `images_evaluation`, if that is there. All others are for training. */
  readonly test?: readonly string[];
}

/**
 * The customary split of few-shot learning: 1028 characters for training, 172 for validation, 423 for test. Vinyals, Blundell,
 * Lillicrap, Kavukcuoglu, Wierstra, "Matching Networks for One Shot Learning" (2016), as published by Snell.
 *
 * ```ts
 * const classes = await openOmniglot(VINYALS_SPLIT);
 * ```
 */
export const VINYALS_SPLIT: { readonly validation: readonly string[]; readonly test: readonly string[] } = {
  validation: ['Armenian', 'Bengali', 'Early_Aramaic', 'Hebrew', 'Mkhedruli_(Georgian)'],
  test: [
    'Gurmukhi/character42',
    'Gurmukhi/character43',
    'Gurmukhi/character44',
    'Gurmukhi/character45',
    'Kannada',
    'Keble',
    'Malayalam',
    'Manipuri',
    'Mongolian',
    'Old_Church_Slavonic_(Cyrillic)',
    'Oriya',
    'Sylheti',
    'Syriac_(Serto)',
    'Tengwar',
    'Tibetan',
    'ULOG',
  ],
};

const HOMEPAGE = 'https://github.com/brendenlake/omniglot';
const BACKGROUND = 'images_background';
const SMALL = ['images_background_small1', 'images_background_small2'];
const EVALUATION = 'images_evaluation';

/** The pictures of a character, each by the path of its file. */
interface Character {
  /** For example `'Greek/character01'`. */
  readonly name: string;
  readonly alphabet: string;
  readonly pictures: Map<string, Uint8Array>;
}

/**
 * Opens Omniglot as classes for `fewShot`; `shape` is `[size, size, 1]`, ink is 1 and paper 0. A pixel is the share of ink in
 * its area. Classes are in the order of alphabets and characters. All pictures are decoded at once and kept, a byte a pixel.
 *
 * ```ts
 * const classes = await openOmniglot({ test: ['Tagalog', 'Balinese'] });
 * const task = fewShot({ classes: { ...classes, train: withRotations(classes.train) } });
 * ```
 *
 * @throws MissingDataError if there are no files
 * @throws RangeError if there is no alphabet or character of a name
 * @throws CorruptDataError if a file is damaged
 */
export async function openOmniglot({
  dataDir = dataFolder(),
  size = 28,
  validation = [],
  test,
}: OmniglotOptions = {}): Promise<ClassSplits> {
  assertInteger('openOmniglot: size', size, 1, BITMAP_SIZE);
  const folder = join(resolve(dataDir), 'omniglot');
  const whole = await readCharacters(folder, BACKGROUND);
  const background = whole.length > 0 ? [whole] : await Promise.all(SMALL.map((set) => readCharacters(folder, set)));
  const evaluation = await readCharacters(folder, EVALUATION);
  // Two of the alphabets are in both of the small archives.
  const byName = new Map([...background.flat(), ...evaluation].map((character) => [character.name, character]));
  const characters = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (characters.length === 0) throw new MissingDataError(instructions(folder));

  const alphabets = new Set(characters.map(({ alphabet }) => alphabet));
  const known = new Set([...alphabets, ...characters.map(({ name }) => name)]);
  const splitOf = new Map<string, Split>();
  const chosen = { test: test ?? evaluation.map(({ alphabet }) => alphabet), validation };
  for (const [split, names] of Object.entries(chosen) as [Split, readonly string[]][]) {
    for (const name of names) {
      if (!known.has(name)) {
        throw new RangeError(
          `openOmniglot: there is no "${name}" for ${split}; the alphabets are ${[...alphabets].join(', ')}.`,
        );
      }
      splitOf.set(name, split);
    }
  }
  return mapSplits({ train: 'train', validation: 'validation', test: 'test' }, (split) =>
    classesOf(
      characters.filter(({ name, alphabet }) => (splitOf.get(name) ?? splitOf.get(alphabet) ?? 'train') === split),
      size,
    ),
  );
}

function classesOf(characters: readonly Character[], size: number): ClassSource {
  const area = size * size;
  const exampleCount = characters[0]?.pictures.size ?? 0;
  const pixels = new Uint8Array(characters.length * exampleCount * area);
  characters.forEach(({ pictures }, classIndex) => {
    const paths = [...pictures.keys()].sort();
    if (paths.length !== exampleCount) {
      const found = `${paths.length} pictures where others have ${exampleCount}`;
      throw new CorruptDataError(
        paths[0] ?? 'omniglot',
        `Omniglot is incomplete: there are ${found} beside ${paths[0]}. Unpack it anew.`,
      );
    }
    paths.forEach((path, example) => {
      const bitmap = decodeBitmap(path, pictures.get(path) as Uint8Array);
      pixels.set(reduceBitmap(bitmap, size), (classIndex * exampleCount + example) * area);
    });
  });
  const read = (classIndex: number, example: number, into: Float32Array): void => {
    const begin = (classIndex * exampleCount + example) * area;
    for (let i = 0; i < area; i++) into[i] = (pixels[begin + i] as number) / 255;
  };
  return { name: 'omniglot', shape: [size, size, 1], classCount: characters.length, exampleCount, read };
}

/** The characters of an archive or folder; none if there is neither. */
async function readCharacters(folder: string, set: string): Promise<Character[]> {
  const characters = new Map<string, Character>();
  for (const [path, bytes] of await readPictures(join(folder, set))) {
    const [, alphabet, character] = /([^/]+)\/(character\d+)\/[^/]+\.png$/.exec(path) ?? [];
    if (alphabet === undefined) continue;
    const name = `${alphabet}/${character}`;
    const known = characters.get(name) ?? { name, alphabet, pictures: new Map() };
    known.pictures.set(path, bytes);
    characters.set(name, known);
  }
  return [...characters.values()];
}

/** The files of `<path>.zip`, else of the folder `path`, with the path of each, divided by slashes. */
async function readPictures(path: string): Promise<[string, Uint8Array][]> {
  const archive = `${path}.zip`;
  if (existsSync(archive)) {
    const bytes = await readFile(archive);
    try {
      const members = unzipSync(bytes, { filter: ({ name }) => name.endsWith('.png') && !name.startsWith('__MACOSX') });
      return Object.entries(members).map(([name, member]) => [`${archive}/${name}`, member]);
    } catch (error) {
      throw new CorruptDataError(archive, `${archive} can't be unpacked: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  if (!existsSync(path)) return [];
  const names = await readdir(path, { recursive: true });
  const pictures: [string, Uint8Array][] = [];
  for (const name of names.filter((name) => name.endsWith('.png'))) {
    const picture = join(path, name);
    pictures.push([picture.replaceAll(sep, '/'), await readFile(picture)]);
  }
  return pictures;
}

/** The ink of a picture: its dark pixels. */
function decodeBitmap(path: string, bytes: Uint8Array): Bitmap {
  try {
    const { width, height, pixels } = decodeImage(path, bytes);
    if (width !== BITMAP_SIZE || height !== BITMAP_SIZE) throw new Error(`it has ${width} x ${height} pixels`);
    const bitmap = new Uint8Array(width * height);
    for (let i = 0; i < bitmap.length; i++) bitmap[i] = (pixels[3 * i] as number) < 127.5 ? 1 : 0;
    return bitmap;
  } catch (error) {
    throw new CorruptDataError(path, `${path} is not a picture of Omniglot: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function instructions(folder: string): string {
  return [
    'Omniglot is not on this machine. To provide it, fetch',
    `  ${HOMEPAGE}/raw/master/python/${BACKGROUND}.zip`,
    `  ${HOMEPAGE}/raw/master/python/${EVALUATION}.zip`,
    `(or, for small experiments, ${SMALL.map((set) => `${set}.zip`).join(' and ')} from there) and put them into`,
    `  ${folder}`,
    `Another folder than ${resolve(folder, '..')} can be chosen with the environment variable FWP_DATA_DIR.`,
  ].join('\n');
}
