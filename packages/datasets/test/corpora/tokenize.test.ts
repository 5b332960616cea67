import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textCorpus } from '../../src/corpora/corpus.ts';
import { byteTokens, charTokens, wordTokens } from '../../src/corpora/tokenize.ts';
import { byteVocabulary } from '../../src/corpora/vocabulary.ts';
import type { TokenSource } from '../../src/index.ts';
import { temporaryFolder, writeText } from './folder.ts';

const folder = temporaryFolder();
const all = (source: TokenSource) => Array.from(source.read(0, source.length));
let files = 0;
const corpusOf = (train: string, validation = 'a', testText = 'a') =>
  textCorpus({
    train: writeText(folder, `train-${files}`, train),
    validation: writeText(folder, `validation-${files}`, validation),
    test: writeText(folder, `test-${files++}`, testText),
  });

describe('byteTokens', () => {
  test('tokens are the bytes of the files', () => {
    const tokens = byteTokens(corpusOf('aä\n', 'b', 'c'));
    expect([tokens.vocabulary.size, all(tokens.train), all(tokens.test)]).toEqual([256, [97, 195, 164, 10], [99]]);
    expect(tokens.vocabulary.decode(tokens.train.read(0, 4))).toBe('aä\n');
    tokens.close();
    expect(() => tokens.train.read(0, 1)).toThrow('has been closed');
  });

  test('every text survives encoding and decoding', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const clean = text.replace(/^\ufeff/, '');
        expect(byteVocabulary.decode(byteVocabulary.encode(clean))).toBe(clean);
      }),
    );
  });
});

describe('charTokens', () => {
  test('the vocabulary is the characters of all splits by code point', () => {
    const tokens = charTokens(corpusOf('hello\n', 'hé', '€𝄞l'));
    expect(tokens.vocabulary.characters).toEqual(['\n', 'e', 'h', 'l', 'o', 'é', '€', '𝄞']);
    expect([all(tokens.train), all(tokens.validation), all(tokens.test)]).toEqual([
      [2, 1, 3, 3, 4, 0],
      [2, 5],
      [6, 7, 3],
    ]);
    expect(tokens.vocabulary.decode(tokens.train.read(0, 6))).toBe('hello\n');
    expect(tokens.vocabulary.encode('leo')).toEqual(Int32Array.of(3, 1, 4));
    expect(() => tokens.vocabulary.encode('x')).toThrow('The character "x" is not among the 8 of the vocabulary');
    expect(() => tokens.vocabulary.decode([8])).toThrow('no token 8; the vocabulary has 8');
  });

  test('characters at the edge of a piece of the file are not torn apart', () => {
    const text = `x${'€'.repeat(400_000)}`;
    const tokens = charTokens(corpusOf(text));
    expect([tokens.vocabulary.characters, tokens.train.length]).toEqual([['a', 'x', '€'], 400_001]);
    expect(all(tokens.train).every((token, i) => token === (i === 0 ? 1 : 2))).toBe(true);
  });

  test('a large vocabulary takes a larger array', () => {
    const text = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
    const tokens = charTokens(corpusOf(text));
    expect(tokens.train.read(0, 1)).toBeInstanceOf(Uint16Array);
    expect(tokens.vocabulary.decode(tokens.train.read(0, 300))).toBe(text);
  });
});

describe('wordTokens', () => {
  test('words by frequency, then by first occurrence; a line ends with <eos>', () => {
    const tokens = wordTokens(corpusOf(' = b = \n\nc b <unk>\na\tc\n', 'a new b\n', 'c'));
    expect(tokens.vocabulary.words).toEqual(['<eos>', '=', 'b', 'c', '<unk>', 'a']);
    expect(all(tokens.train)).toEqual([1, 2, 1, 0, 0, 3, 2, 4, 0, 5, 3, 0]);
    expect(all(tokens.validation)).toEqual([5, 4, 2, 0]);
    expect(all(tokens.test)).toEqual([3, 0]);
    expect(tokens.vocabulary.decode(tokens.train.read(5, 9))).toBe('c b <unk> <eos>');
    expect(Array.from(tokens.vocabulary.encode('a c\nz\n'))).toEqual([5, 3, 0, 4, 0]);
  });

  test('<unk> is added to a text without it', () => {
    const tokens = wordTokens(corpusOf('x y\n', 'z\n'));
    expect(tokens.vocabulary.words).toEqual(['<eos>', 'x', 'y', '<unk>']);
    expect(all(tokens.validation)).toEqual([3, 0]);
  });

  test('lines and words at the edge of a piece of the file stay whole', () => {
    const text = 'one two three\n'.repeat(90_000);
    const tokens = wordTokens(corpusOf(text));
    expect([tokens.vocabulary.size, tokens.train.length]).toEqual([5, 360_000]);
    expect(all(tokens.train).every((token, i) => token === [1, 2, 3, 0][i % 4])).toBe(true);
  });
});
