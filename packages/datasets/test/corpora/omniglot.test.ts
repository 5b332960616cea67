import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encode, type ImageData } from 'fast-png';
import { zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { MissingDataError, openOmniglot, VINYALS_SPLIT } from '../../src/corpora/index.ts';
import { fewShot, withRotations } from '../../src/index.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();
const SIZE = 105;

/** Whether a pixel is ink in the picture that stands for number `n`: a frame that is n + 1 pixels wide at the left. */
const isInk = (n: number, row: number, column: number) => row === 0 || column <= n || (row === 104 && column === 104);

/** A picture, black on white, in one of the ways in which a PNG may hold it. */
function picture(n: number, format: '1 bit' | '8 bits' | 'colours' | 'palette'): Uint8Array {
  const pixels = Array.from({ length: SIZE * SIZE }, (_, i) => isInk(n, Math.floor(i / SIZE), i % SIZE));
  const image: Omit<ImageData, 'data'> = { width: SIZE, height: SIZE };
  const pack = (bit: (ink: boolean) => number) => {
    const stride = Math.ceil(SIZE / 8);
    const data = new Uint8Array(stride * SIZE);
    pixels.forEach((ink, i) => {
      const [row, column] = [Math.floor(i / SIZE), i % SIZE];
      const place = row * stride + (column >> 3);
      data[place] = (data[place] as number) | (bit(ink) << (7 - (column & 7)));
    });
    return data;
  };
  switch (format) {
    case '1 bit':
      return encode({ ...image, depth: 1, channels: 1, data: pack((ink) => (ink ? 0 : 1)) });
    case '8 bits':
      return encode({ ...image, depth: 8, channels: 1, data: Uint8Array.from(pixels, (ink) => (ink ? 20 : 250)) });
    case 'colours':
      return encode({
        ...image,
        depth: 8,
        channels: 4,
        data: Uint8Array.from(pixels.flatMap((ink) => [...Array.from({ length: 3 }, () => (ink ? 0 : 255)), 255])),
      });
    case 'palette':
      return encode({
        ...image,
        depth: 1,
        channels: 1,
        palette: [
          [255, 255, 255],
          [0, 0, 0],
        ],
        data: pack((ink) => (ink ? 1 : 0)),
      });
  }
}

const formats = ['1 bit', '8 bits', 'colours', 'palette'] as const;

/** The files of an archive: of each alphabet some characters, of each character two pictures that nobody else has. */
function files(set: string, alphabets: Record<string, number>, firstNumber: number): Record<string, Uint8Array> {
  let n = firstNumber;
  const entries = Object.entries(alphabets).flatMap(([alphabet, characters]) =>
    Array.from({ length: characters }, (_, character) =>
      [1, 2].map((drawer): [string, Uint8Array] => {
        const name = `${set}/${alphabet}/character${String(character + 1).padStart(2, '0')}/000${character}_0${drawer}.png`;
        return [name, picture(n % SIZE, formats[n++ % formats.length] as (typeof formats)[number])];
      }),
    ).flat(),
  );
  return Object.fromEntries(entries);
}

/** A data folder with files in `omniglot`. */
function dataFolderWith(contents: Record<string, Uint8Array>): string {
  const dataDir = mkdtempSync(join(folder, 'data-'));
  for (const [name, bytes] of Object.entries(contents)) {
    const path = join(dataDir, 'omniglot', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  return dataDir;
}

const background = files('images_background', { Greek: 2, Latin: 3 }, 0);
const evaluation = files('images_evaluation', { Tengwar: 2 }, 10);
const archives = { 'images_background.zip': zipSync(background), 'images_evaluation.zip': zipSync(evaluation) };

describe('openOmniglot', () => {
  test('archives: background alphabets are for training, evaluation alphabets for test', async () => {
    const { train, validation, test } = await openOmniglot({ dataDir: dataFolderWith(archives), size: 105 });
    expect([train.classCount, validation.classCount, test.classCount]).toEqual([5, 0, 2]);
    expect([train.exampleCount, train.shape]).toEqual([2, [105, 105, 1]]);
    const pixels = new Float32Array(105 * 105);
    const check = (source: typeof train, classIndex: number, example: number, n: number) => {
      source.read(classIndex, example, pixels);
      const expected = Float32Array.from(pixels, (_, i) => Number(isInk(n, Math.floor(i / SIZE), i % SIZE)));
      expect(pixels).toEqual(expected);
    };
    for (let n = 0; n < 10; n++) check(train, n >> 1, n & 1, n);
    for (let n = 0; n < 4; n++) check(test, n >> 1, n & 1, 10 + n);
  });

  test('unpacked folders, and small archives that share an alphabet, give the same', async () => {
    const small = {
      ...files('images_background_small1', { Greek: 2 }, 0),
      'images_background_small2.zip': zipSync(files('images_background_small2', { Greek: 2, Latin: 3 }, 0)),
    };
    const [a, b] = await Promise.all(
      [archives, small].map((contents) => openOmniglot({ dataDir: dataFolderWith(contents) })),
    );
    const pixelsOf = ({ train }: NonNullable<typeof a>) =>
      Array.from({ length: 10 }, (_, n) => {
        const pixels = new Float32Array(28 * 28);
        train.read(n >> 1, n & 1, pixels);
        return pixels.join(' ');
      });
    expect(pixelsOf(a as NonNullable<typeof a>)).toEqual(pixelsOf(b as NonNullable<typeof b>));
    expect([b?.train.classCount, b?.test.classCount]).toEqual([5, 0]);
  });

  test('alphabets can be chosen for validation and test', async () => {
    const dataDir = dataFolderWith(archives);
    const classes = await openOmniglot({ dataDir, validation: ['Greek'], test: ['Latin'], size: 14 });
    expect([classes.train, classes.validation, classes.test].map(({ classCount }) => classCount)).toEqual([2, 2, 3]);
    const rotated = { ...classes, train: withRotations(classes.train) };
    const batch = fewShot({ classes: rotated, ways: 3, shots: 1 }).batch(0, 4, 'test');
    expect([batch.length, batch.examples.length]).toEqual([4, 4 * 4 * 14 * 14]);
    expect(() => fewShot({ classes }).batch(0, 1)).toThrow(
      'a sequence needs 5 classes with 2 examples each; there are 2 with 2 for train',
    );
    await expect(openOmniglot({ dataDir, test: ['Klingon'] })).rejects.toThrow(
      'there is no "Klingon" for test; the alphabets are Greek, Latin, Tengwar',
    );
  });

  test('so can single characters, and the customary split', async () => {
    const contents = {
      ...archives,
      'images_evaluation.zip': zipSync(
        Object.assign(
          files('images_evaluation', { Gurmukhi: 45 }, 0),
          ...[...VINYALS_SPLIT.validation, ...VINYALS_SPLIT.test]
            .filter((name) => !name.includes('/'))
            .map((alphabet) => files('images_evaluation', { [alphabet]: 1 }, 0)),
        ),
      ),
    };
    const { train, validation, test } = await openOmniglot({
      ...VINYALS_SPLIT,
      dataDir: dataFolderWith(contents),
      size: 1,
    });
    expect([train, validation, test].map(({ classCount }) => classCount)).toEqual([5 + 41, 5, 4 + 12]);
  });

  test('without files it says which to put where', async () => {
    const dataDir = mkdtempSync(join(folder, 'empty-'));
    const failure = openOmniglot({ dataDir });
    await expect(failure).rejects.toThrow(MissingDataError);
    await expect(failure).rejects.toThrow(join(dataDir, 'omniglot'));
    await expect(failure).rejects.toThrow('images_background.zip');
  });

  test('damaged archives, damaged pictures and missing ones are named', async () => {
    const name = 'images_background/Greek/character01/0000_01.png';
    const open = (contents: Record<string, Uint8Array>) => openOmniglot({ dataDir: dataFolderWith(contents) });
    await expect(open({ 'images_background.zip': new Uint8Array(100) })).rejects.toThrow(
      "images_background.zip can't be unpacked",
    );
    const damaged = (background[name] as Uint8Array).slice();
    damaged[damaged.length - 20] = (damaged.at(-20) as number) ^ 1;
    await expect(open({ ...background, [name]: damaged })).rejects.toThrow(`${name} is not a picture of Omniglot`);
    const small = encode({ width: 2, height: 1, depth: 8, channels: 1, data: Uint8Array.of(0, 255) });
    await expect(open({ ...background, [name]: small })).rejects.toThrow('it has 2 x 1 pixels');
    const { [name]: _, ...incomplete } = background;
    await expect(open(incomplete)).rejects.toThrow('2 pictures where others have 1');
  });

  test('refuses a size that is none', async () => {
    await expect(openOmniglot({ size: 106 })).rejects.toThrow('size must be an integer from 1 to 105, but is 106');
  });
});
