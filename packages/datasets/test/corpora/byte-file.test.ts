import { truncateSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openByteFile } from '../../src/corpora/byte-file.ts';
import { createRandom } from '../../src/random.ts';
import { contiguousBatches } from '../../src/token-batches.ts';
import { digest, digestOf } from '../digest.ts';
import { temporaryFolder, writeText } from './folder.ts';

const folder = temporaryFolder();
const random = createRandom(1, 'byte-file');
/** Larger than the cache, with a block that is not full at its end. */
const bytes = Uint8Array.from({ length: 9_000_001 }, () => random.integer(256));
const path = writeText(folder, 'bytes', bytes);

describe('openByteFile', () => {
  test('gives the bytes that are in the file, wherever they are asked for', () => {
    const file = openByteFile(path);
    expect(file.length).toBe(bytes.length);
    const lengths = fc.oneof(fc.nat(300), fc.nat(200_000), fc.integer({ min: 2_000_000, max: 3_000_000 }));
    fc.assert(
      fc.property(fc.nat(bytes.length), lengths, (begin, length) => {
        const end = Math.min(begin + length, bytes.length);
        expect(digest(file.read(begin, end))).toBe(digest(bytes.subarray(begin, end)));
      }),
      { numRuns: 200 },
    );
    file.close();
  });

  test('a part of a file begins at 0 and ends where it should', () => {
    const file = openByteFile(path, 100_000, 300_000);
    expect(file.length).toBe(200_000);
    expect(digest(file.read(0, 200_000))).toBe(digest(bytes.subarray(100_000, 300_000)));
    expect(file.read(200_000, 200_000)).toHaveLength(0);
    expect(() => file.read(199_999, 200_001)).toThrow('bytes 199999 to 200001 were asked for, but there are 200000');
    file.close();
  });

  test('batches from a file are those from memory', () => {
    const file = openByteFile(path);
    const sizes = { batchSize: 16, length: 32 };
    const [fromFile, fromMemory] = [contiguousBatches(file, sizes), contiguousBatches(bytes, sizes)];
    for (const step of [0, 1, 17_000, fromMemory.stepsPerEpoch - 1, fromMemory.stepsPerEpoch]) {
      expect(digestOf(fromFile.batch(step))).toBe(digestOf(fromMemory.batch(step)));
    }
    file.close();
  });

  test('a file that has become shorter is an error that says where it ends', () => {
    const shrinking = writeText(folder, 'shrinking', bytes.subarray(0, 200_000));
    const file = openByteFile(shrinking);
    truncateSync(shrinking, 70_000);
    expect(() => file.read(131_072, 131_080)).toThrow('shrinking ends at byte 131072; it had 200000 bytes');
    file.close();
  });

  test('refuses a part that the file has not', () => {
    expect(() => openByteFile(path, 5, bytes.length + 1)).toThrow(`has ${bytes.length} bytes; bytes 5 to`);
    expect(() => openByteFile(`${path}-none`)).toThrow('ENOENT');
  });
});
