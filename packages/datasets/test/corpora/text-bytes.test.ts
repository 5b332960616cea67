import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MissingDataError } from '../../src/corpora/corpus.ts';
import { folderText } from '../../src/corpora/folder-text.ts';
import { openTextBytes } from '../../src/corpora/text-bytes.ts';
import { byteVocabulary } from '../../src/corpora/vocabulary.ts';
import { syntheticText, type TokenSource } from '../../src/index.ts';
import { temporaryFolder, writeText } from './folder.ts';

const root = temporaryFolder();
const decode = (source: TokenSource) => byteVocabulary.decode(source.read(0, source.length));

/** A folder of 40 numbered files and one of another kind. */
function makeFolder(): string {
  const folder = join(root, 'files');
  mkdirSync(join(folder, 'b'), { recursive: true });
  for (let i = 0; i < 40; i++) writeText(i < 20 ? folder : join(folder, 'b'), `${10 + i}.txt`, `<${10 + i}>`);
  writeText(folder, 'picture.png', 'no text');
  return folder;
}

describe('folderText', () => {
  test('one file in twenty is for validation, one for test, in the order of the paths', () => {
    const text = folderText(makeFolder(), { accept: (path) => path.endsWith('.txt'), clean: (t) => t.slice(1, -1) });
    const decoded = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    expect([decoded(text.validation), decoded(text.test)]).toEqual(['2040', '2949']);
    expect(decoded(text.train)).toBe(
      [...Array.from({ length: 40 }, (_, i) => 10 + i)].filter((n) => ![20, 40, 29, 49].includes(n)).join(''),
    );
  });

  test('paths have one form', () => {
    const seen: string[] = [];
    folderText(makeFolder(), { accept: (path) => seen.push(path) > 0 });
    expect(seen).toContain('b/30.txt');
  });

  test('the byte order mark that begins a file is no text', () => {
    const folder = join(root, 'marked');
    mkdirSync(folder);
    for (let i = 10; i < 30; i++) writeText(folder, `${i}.txt`, `\uFEFF${i}`);
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(folderText(folder).validation)).toBe('20');
  });

  test('a folder with too few files is refused', () => {
    expect(() => folderText(makeFolder(), { accept: (path) => path.startsWith('1') })).toThrow(
      'has 10 files that count as its text, too few for one in 20 to be for validation',
    );
  });
});

describe('openTextBytes', () => {
  const lengths = { train: 50, validation: 7 };

  test('made up, of a folder, of a file', async () => {
    const made = await openTextBytes('synthetic', { lengths, seed: 3 });
    expect(made.train.read(0, 50)).toEqual(syntheticText({ length: 50, seed: 3 }));
    const ofFolder = await openTextBytes(makeFolder(), {
      lengths,
      folder: { accept: (path) => path.endsWith('.txt') },
    });
    expect([ofFolder.train.length, decode(ofFolder.validation)]).toEqual([50, '<20><40']);
    const ofFile = await openTextBytes(writeText(root, 'file', 'abcdefghij'.repeat(20)), { lengths });
    expect([decode(ofFile.train).length, decode(ofFile.validation)]).toEqual([50, 'abcdefg']);
    for (const text of [made, ofFolder, ofFile]) text.close();
    expect(() => ofFile.train.read(0, 1)).toThrow('has been closed');
  });

  test('a name that is nothing', async () => {
    const refusal = async (name: string) => openTextBytes(name, { lengths }).catch((error: Error) => error);
    for (const name of [join(root, 'missing'), 'enwiki8', '']) {
      expect(await refusal(name)).toBeInstanceOf(MissingDataError);
    }
    expect(await refusal('enwiki8')).toMatchObject({
      message:
        "There is no corpus or file 'enwiki8' (did you mean 'enwik8'?); corpora: enwik8, text8, tinyshakespeare, wikitext-2, wikitext-103.",
    });
    expect(await refusal('')).toMatchObject({ message: expect.stringContaining("There is no corpus or file '';") });
  });
});
