import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { openC4 } from '../../src/corpora/c4.ts';
import { CorruptDataError } from '../../src/corpora/checksum.ts';
import { MissingDataError } from '../../src/corpora/corpus.ts';
import { byteTokens } from '../../src/corpora/tokenize.ts';
import { temporaryFolder, writeText } from './folder.ts';

const root = temporaryFolder();
let dataDir = '';
let tests = 0;
beforeEach(() => {
  dataDir = join(root, `${tests++}`);
  mkdirSync(join(dataDir, 'c4'), { recursive: true });
});

const linesOf = (...texts: string[]) => texts.map((text) => `${JSON.stringify({ text, url: 'x' })}\n`).join('');
const publish = (name: string, content: string | Uint8Array) => writeText(join(dataDir, 'c4'), name, content);
const sizes = { trainBytes: 12, validationBytes: 4 };

describe('openC4', () => {
  test('documents of all files in the order of their names, as many as are wanted', async () => {
    publish('c4-train.00001-of-01024.json.gz', gzipSync(linesOf('third ä', 'fourth')));
    publish('c4-train.00000-of-01024.json', linesOf('one\ntwo', 'x'));
    publish('c4-validation.00000-of-00008.json.gz', gzipSync(linesOf('v', 'a', 'test', 'rest')));
    const bytes = byteTokens(await openC4({ dataDir, ...sizes }));
    const text = (part: 'train' | 'validation' | 'test') =>
      bytes.vocabulary.decode(bytes[part].read(0, bytes[part].length));
    expect([text('train'), text('validation'), text('test')]).toEqual(['one\ntwo\nx\nthird ä\n', 'v\na\n', 'test\n']);
    bytes.close();
    // The slices are there now; the published files are not needed any more, nor read.
    publish('c4-train.00000-of-01024.json', 'damaged');
    expect((await openC4({ dataDir, ...sizes })).splits.train.end).toBe(19);
  });

  test('files that are not there, or too few, are asked for', async () => {
    await expect(openC4({ dataDir })).rejects.toThrow(MissingDataError);
    await expect(openC4({ dataDir: join(dataDir, 'nowhere') })).rejects.toThrow(MissingDataError);
    await expect(openC4({ dataDir })).rejects.toThrow(`put them into ${join(dataDir, 'c4')}`);
    publish('c4-train.00000-of-01024.json', linesOf('abc'));
    await expect(openC4({ dataDir, ...sizes })).rejects.toThrow('only 4 bytes of 12');
  });

  test('damaged files are named with the place', async () => {
    publish('c4-train.00000-of-01024.json', `${linesOf('abc')}{"url": 1}\n`);
    await expect(openC4({ dataDir, ...sizes })).rejects.toThrow(CorruptDataError);
    await expect(openC4({ dataDir, ...sizes })).rejects.toThrow('json, line 2, has no field text');
    publish('c4-train.00000-of-01024.json', `${linesOf('abc')}{"text": \n`);
    await expect(openC4({ dataDir, ...sizes })).rejects.toThrow('json, line 2, is not JSON');
    const archive = gzipSync(linesOf(...Array.from({ length: 20_000 }, (_, i) => `${Math.sin(i)}`)));
    publish('c4-train.00000-of-01024.json', '');
    publish('c4-train.00001-of-01024.json.gz', archive.subarray(0, archive.length / 2));
    await expect(openC4({ dataDir, ...sizes, trainBytes: 1e9 })).rejects.toThrow(/json\.gz is damaged after line \d+/);
  });
});
