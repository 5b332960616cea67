/** Pictures in files: CIFAR-10, IDX, PNG and JPEG, whole and damaged. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encode as encodePng } from 'fast-png';
import { encode as encodeJpeg } from 'jpeg-js';
import { describe, expect, it } from 'vitest';
import { middleSquare } from '../../src/corpora/image-folder.ts';
import {
  decodeImage,
  MissingDataError,
  openCifar10,
  openIdxImages,
  openImageFolder,
  openMnist,
  readIdx,
} from '../../src/corpora/index.ts';
import { takeImages } from '../../src/index.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();

/** A folder of its own for a test. */
function fresh(name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}

describe('openCifar10', () => {
  const record = (label: number) => Uint8Array.from({ length: 3073 }, (_, i) => (i === 0 ? label : (i + label) % 256));
  const write = (dataDir: string, name: string, ...records: Uint8Array[]) => {
    const path = join(dataDir, 'cifar10', 'cifar-10-batches-bin');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, name), Buffer.concat(records));
  };

  it('reads the batches, and interleaves the channels', async () => {
    const dataDir = fresh('cifar');
    for (const n of [1, 2, 3, 4, 5]) write(dataDir, `data_batch_${n}.bin`, record(n), record(9));
    write(dataDir, 'test_batch.bin', record(7));
    const { train, test, classes } = await openCifar10({ dataDir });
    expect([train.count, test.count, classes[7]]).toEqual([10, 1, 'horse']);
    expect([...(train.labels as Uint8Array)]).toEqual([1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
    const { pixels } = takeImages(train, [4]);
    expect([...pixels.subarray(0, 6)]).toEqual([4, 1028 % 256, 2052 % 256, 5, 1029 % 256, 2053 % 256]);
  });

  it('says what is missing or damaged', async () => {
    const missing = openCifar10({ dataDir: fresh('nothing'), download: false });
    await expect(missing).rejects.toThrow(MissingDataError);
    await expect(missing).rejects.toThrow(/fetch\n {2}https:\/\/www.cs.toronto.edu\/~kriz\/cifar-10-binary.tar.gz/);
    const dataDir = fresh('damaged');
    write(dataDir, 'data_batch_1.bin', record(1).subarray(0, 100));
    await expect(openCifar10({ dataDir })).rejects.toThrow(/data_batch_1.bin of CIFAR-10 has 100 bytes/);
    write(dataDir, 'data_batch_1.bin', record(1), record(11));
    await expect(openCifar10({ dataDir })).rejects.toThrow(/has the class 11 at byte 3073/);
  });
});

describe('IDX files', () => {
  const idx = (shape: number[], data: number[], type = 8) => {
    const bytes = Buffer.alloc(4 + 4 * shape.length + data.length);
    bytes.set([0, 0, type, shape.length]);
    for (const [i, extent] of shape.entries()) bytes.writeUInt32BE(extent, 4 + 4 * i);
    bytes.set(data, 4 + 4 * shape.length);
    return bytes;
  };
  const pixels = Array.from({ length: 12 }, (_, i) => 10 * i);

  it('are read with and without gzip', async () => {
    const [plain, packed, labels] = ['a', 'b.gz', 'c'].map((name) => join(fresh('idx'), name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(plain, idx([3, 2, 2], pixels));
    writeFileSync(packed, gzipSync(idx([3, 2, 2], pixels)));
    writeFileSync(labels, idx([3], [5, 0, 4]));
    for (const path of [plain, packed]) {
      const set = await openIdxImages('mine', path, labels);
      expect([set.count, set.height, set.width, set.channels]).toEqual([3, 2, 2, 1]);
      expect([[...(set.labels as Uint8Array)], [...takeImages(set, [2]).pixels]]).toEqual([
        [5, 0, 4],
        [80, 90, 100, 110],
      ]);
    }
  });

  it('say at which byte they are damaged', async () => {
    const path = join(fresh('idx'), 'bad');
    const attempts: [Buffer, RegExp][] = [
      [Buffer.of(1, 2, 3, 4), /does not begin with two zeros/],
      [idx([2], [1, 2], 0x0d), /byte 2, the type, is 13 instead of 8/],
      [idx([3, 2, 2], pixels).subarray(0, 9), /ends at byte 9, within its 3 extents/],
      [idx([3, 2, 2], pixels.slice(1)), /has 11 elements, but its extents \[3, 2, 2\] say 12/],
      [gzipSync(idx([3], [1, 2, 3])).subarray(0, 15), /can't be unpacked/],
    ];
    for (const [bytes, message] of attempts) {
      writeFileSync(path, bytes);
      await expect(readIdx(path)).rejects.toThrow(message);
    }
    const labels = join(fresh('idx'), 'labels');
    writeFileSync(path, idx([3, 2, 2], pixels));
    writeFileSync(labels, idx([2], [1, 2]));
    await expect(openIdxImages('mine', path, labels)).rejects.toThrow(/has the extents \[2\], but .* has 3 pictures/);
    await expect(openIdxImages('mine', labels)).rejects.toThrow(/has 1 extents, expected \[pictures, rows, columns\]/);
  });

  it('make MNIST', async () => {
    const dataDir = fresh('mnist');
    mkdirSync(join(dataDir, 'fashion-mnist'));
    for (const prefix of ['train', 't10k']) {
      writeFileSync(join(dataDir, 'fashion-mnist', `${prefix}-images-idx3-ubyte.gz`), gzipSync(idx([3, 2, 2], pixels)));
      writeFileSync(join(dataDir, 'fashion-mnist', `${prefix}-labels-idx1-ubyte`), idx([3], [1, 2, 3]));
    }
    const { train, test } = await openMnist({ name: 'fashion-mnist', dataDir });
    expect([train.name, train.count, test.count]).toEqual(['fashion-mnist/train', 3, 3]);
    await expect(openMnist({ dataDir })).rejects.toThrow(/mnist is not on this machine/);
  });
});

describe('pictures of any size', () => {
  /** Red on the left, blue on the right. */
  const halves = (width: number, height: number) =>
    Uint8Array.from({ length: width * height * 4 }, (_, i) => {
      const left = Math.floor(i / 4) % width < width / 2;
      return [left ? 255 : 0, 0, left ? 0 : 255, 255][i % 4] as number;
    });

  it('PNG in every form and JPEG become red, green and blue', () => {
    const two = { width: 2, height: 1 };
    const pixelsOf = (bytes: Uint8Array) => [...decodeImage('x', bytes).pixels];
    const data = Uint8Array.of(255, 0, 0, 255, 0, 0, 255, 0);
    expect(pixelsOf(encodePng({ ...two, data, channels: 4, depth: 8 }))).toEqual([255, 0, 0, 255, 255, 255]);
    expect(pixelsOf(encodePng({ ...two, data: Uint8Array.of(7, 200), channels: 1, depth: 8 }))).toEqual([
      7, 7, 7, 200, 200, 200,
    ]);
    const deep = Uint16Array.of(65_535, 0, 32_896);
    expect(pixelsOf(encodePng({ width: 1, height: 1, data: deep, channels: 3, depth: 16 }))).toEqual([255, 0, 128]);
    const palette: [number, number, number][] = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    expect(pixelsOf(encodePng({ ...two, data: Uint8Array.of(0b01000000), channels: 1, depth: 1, palette }))).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
    const jpeg = decodeImage('x', encodeJpeg({ width: 32, height: 16, data: halves(32, 16) }, 95).data);
    expect([jpeg.width, jpeg.height, jpeg.pixels.length]).toEqual([32, 16, 32 * 16 * 3]);
    for (const [c, value] of [255, 0, 0].entries()) {
      expect(Math.abs((jpeg.pixels[c] as number) - value)).toBeLessThan(12);
    }
    expect(jpeg.pixels[31 * 3 + 2]).toBeGreaterThan(240);
  });

  it('say which file is damaged', () => {
    expect(() => decodeImage('a.png', Uint8Array.of(1, 2, 3, 4))).toThrow(
      /a.png is neither a PNG nor a JPEG file: it begins with 1 2 3 4/,
    );
    const png = encodePng({ width: 2, height: 1, data: Uint8Array.of(1, 2), channels: 1, depth: 8 });
    expect(() => decodeImage('b.png', png.subarray(0, 40))).toThrow(/b.png can't be decoded/);
    const jpeg = encodeJpeg({ width: 8, height: 8, data: halves(8, 8) }, 90).data;
    expect(() => decodeImage('c.jpg', jpeg.subarray(0, 60))).toThrow(/c.jpg can't be decoded/);
  });

  it('are cut to their middle square and reduced by area', () => {
    // Columns 1 to 4 of six; pairs of columns and of rows are averaged.
    const pixels = Uint8Array.from({ length: 6 * 4 * 3 }, (_, i) => 10 * (Math.floor(i / 3) % 6) + Math.floor(i / 18));
    const small = middleSquare({ width: 6, height: 4, pixels }, 2);
    expect([small[0], small[3], small[6], small[9]]).toEqual([16, 36, 18, 38]);
    const same = middleSquare({ width: 4, height: 4, pixels: pixels.subarray(0, 48) }, 4);
    expect([...same]).toEqual([...pixels.subarray(0, 48)]);
    const uneven = middleSquare({ width: 3, height: 3, pixels: new Uint8Array(27).fill(77) }, 2);
    expect([...uneven]).toEqual(Array(12).fill(77));
    const larger = middleSquare(
      { width: 2, height: 2, pixels: Uint8Array.from([0, 100, 0, 100].flatMap((x) => [x, x, x])) },
      4,
    );
    expect([0, 3, 6, 9].map((i) => larger[i])).toEqual([0, 25, 75, 100]);
    expect([...middleSquare({ width: 1, height: 1, pixels: Uint8Array.of(1, 2, 3) }, 2)]).toEqual([
      1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3,
    ]);
  });

  it('are found in folders', async () => {
    const path = fresh('pictures');
    mkdirSync(join(path, 'dogs'));
    writeFileSync(join(path, 'dogs', 'b.JPG'), encodeJpeg({ width: 32, height: 16, data: halves(32, 16) }, 95).data);
    writeFileSync(
      join(path, 'a.png'),
      encodePng({ width: 3, height: 3, data: new Uint8Array(9).fill(9), channels: 1, depth: 8 }),
    );
    writeFileSync(join(path, 'notes.txt'), 'no picture');
    for (const cacheBytes of [0, 2 ** 20]) {
      const set = await openImageFolder(path, { size: 8, cacheBytes });
      expect([set.count, set.height, set.channels]).toEqual([2, 8, 3]);
      for (let time = 0; time < 2; time++) {
        const { pixels } = takeImages(set, [0, 1]);
        expect([...pixels.subarray(0, 192)]).toEqual(Array(192).fill(9));
        expect(pixels[192]).toBeGreaterThan(240);
      }
    }
    await expect(openImageFolder(join(path, 'cats'))).rejects.toThrow(/folder of pictures .*cats can't be read/);
    await expect(openImageFolder(fresh('empty'))).rejects.toThrow(/There is no .png, .jpg or .jpeg file/);
    writeFileSync(join(path, 'c.png'), 'text');
    const set = await openImageFolder(path, { size: 8 });
    expect(() => takeImages(set, [1])).toThrow(/c.png is neither a PNG nor a JPEG/);
  });
});
