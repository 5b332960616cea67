import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textCorpus } from '../../src/corpora/corpus.ts';
import {
  readTokenizer,
  subwordTokens,
  subwordVocabulary,
  type TokenizerDefinition,
  trainSubwords,
} from '../../src/corpora/subwords.ts';
import { temporaryFolder, writeText } from './folder.ts';

const folder = temporaryFolder();
const TEXT = 'the cat and the dog 1234\nthe cät saw 99 cats\n'.repeat(60);

describe('trainSubwords', () => {
  test('bytes come first, then the most frequent pairs, and no more than wanted', async () => {
    const definition = await trainSubwords(textCorpus(writeText(folder, 'text', TEXT)), { vocabularySize: 262 });
    const names = Object.entries(definition.model.vocab).sort(([, a], [, b]) => a - b);
    expect(names.length).toBe(262);
    expect(names.slice(0, 256).map(([name]) => name.length)).toEqual(new Array(256).fill(1));
    expect(names.map(([, id]) => id)).toEqual(names.map((_, i) => i));
    expect(names.slice(256).map(([name]) => name)).toContain('the');
    // A join is of tokens that were there before.
    for (const [index, merge] of (definition.model['merges'] as string[][]).entries()) {
      for (const part of merge)
        expect((definition.model.vocab as Record<string, number>)[part]).toBeLessThan(256 + index);
    }
  });

  test('a text with few pairs to join has fewer tokens', async () => {
    const { model } = await trainSubwords(textCorpus(writeText(folder, 'short', 'ab ab ab\n')), {
      vocabularySize: 400,
    });
    expect(Object.keys(model.vocab).slice(256)).toEqual(['ab', 'Ġab']);
  });

  test('it is the beginning of the tokenizer with more tokens', async () => {
    const corpus = textCorpus(writeText(folder, 'text', TEXT));
    const [small, large] = [
      await trainSubwords(corpus, { vocabularySize: 260 }),
      await trainSubwords(corpus, { vocabularySize: 270 }),
    ];
    const merges = small.model['merges'] as unknown[];
    expect(merges).toEqual((large.model['merges'] as unknown[]).slice(0, merges.length));
  });

  test('any text survives encoding and decoding, and digits stay apart', async () => {
    const definition = await trainSubwords(textCorpus(writeText(folder, 'text', TEXT)), { vocabularySize: 270 });
    const { size, encode, decode } = subwordVocabulary(definition);
    expect([size, encode('1234').length, encode('the cat').length < 5]).toEqual([270, 4, true]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const tokens = encode(text);
        expect(decode(tokens)).toBe(text);
        expect(tokens.every((token) => token < size)).toBe(true);
      }),
      // What decoders of word pieces tidy up.
      { examples: [[' .'], ["it 's , do n't !"]] },
    );
  });

  test('only the training text counts', async () => {
    const whole = `${TEXT}${'zyzyzy '.repeat(20)}`;
    const definition = await trainSubwords(textCorpus(writeText(folder, 'text', whole)), { vocabularySize: 280 });
    expect(Object.keys(definition.model.vocab).some((name) => name.includes('zy'))).toBe(false);
  });

  test('bad sizes are refused', async () => {
    const corpus = textCorpus(writeText(folder, 'text', TEXT));
    await expect(trainSubwords(corpus, { vocabularySize: 255 })).rejects.toThrow(
      'trainSubwords: vocabularySize must be an integer from 256 to 30000, but is 255',
    );
  });
});

describe('subwordTokens', () => {
  test('all of each part, line ends included', async () => {
    const corpus = textCorpus({
      train: writeText(folder, 'train', TEXT),
      validation: writeText(folder, 'validation', 'a dog\n\nand'),
      test: writeText(folder, 'test', '\n'),
    });
    const definition = await trainSubwords(corpus, { vocabularySize: 300 });
    const { vocabulary, train, validation, test: tested } = subwordTokens(corpus, definition);
    const textOf = (source: typeof train) => vocabulary.decode(source.read(0, source.length));
    expect([textOf(train), textOf(validation), textOf(tested)]).toEqual([TEXT, 'a dog\n\nand', '\n']);
    expect(train.length).toBeLessThan(TEXT.length / 2);
    expect(train.read(0, 1)).toBeInstanceOf(Uint16Array);
  });
});

describe('tokenizers of others', () => {
  const unigram: TokenizerDefinition = {
    version: '1.0',
    added_tokens: [{ id: 4, content: '<end>' }],
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: null,
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [
        ['<unk>', 0],
        ['▁ab', -1],
        ['▁', -2],
        ['c', -2],
      ],
    },
  };

  test('a Unigram model from a file', async () => {
    const path = writeText(folder, 'tokenizer.json', JSON.stringify(unigram));
    const { size, encode, decode } = subwordVocabulary(await readTokenizer(path));
    expect([size, Array.from(encode('ab c')), decode(encode('ab c'))]).toEqual([5, [1, 2, 3], 'ab c']);
  });

  test('a file that is something else is refused by its name', async () => {
    const path = writeText(folder, 'other.json', '{"model": {"type": "BPE"}}');
    await expect(readTokenizer(path)).rejects.toThrow(`${path} is not a tokenizer.json file: it has no model.vocab`);
    await expect(readTokenizer(writeText(folder, 'broken.json', '{'))).rejects.toThrow('is not a tokenizer.json file');
    await expect(readTokenizer(join(folder, 'missing.json'))).rejects.toThrow('ENOENT');
  });
});
