import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Scan, type ScanSplit, scan } from '../../src/index.ts';
import { countsOf, digestOfSets, expectDisjoint, pairsOf } from './parts.ts';

const linesOf = ({ vocabulary, actionVocabulary, sets }: Scan, part: keyof Scan['sets']) =>
  pairsOf(sets[part], vocabulary, actionVocabulary).map(([command, actions]) => `IN: ${command} OUT: ${actions}`);

/** Fingerprint of the different lines, sorted. */
const fingerprint = (lines: readonly string[]) =>
  createHash('sha256')
    .update(
      [...new Set(lines)]
        .sort()
        .map((line) => `${line}\n`)
        .join(''),
    )
    .digest('hex')
    .slice(0, 16);

const sizesOf = ({ sets }: Scan) => [sets.train.size, sets.iid.size, sets.test.size];

/** Fingerprints of the files in the authors' repository (brendenlake/SCAN), for training and test. */
const published: [ScanSplit, train: string, test: string][] = [
  [{ by: 'length', cutoff: 22, trainShare: 1 }, '7ffb97f45029871c', '3297fd0b676c391f'],
  [{ by: 'primitive', primitive: 'jump' }, 'ae3363dd3a3805b9', '522454c6280eab95'],
  [{ by: 'primitive', primitive: 'turn left' }, 'f5a78e04a9c4e99f', '14dd6316d16204d2'],
  [{ by: 'template', template: 'jump around right' }, '48179f66fd28dcea', '68ad864f20ede044'],
  [{ by: 'template', template: 'right' }, 'b2bb5aaafd620068', '666691ecf2889a4d'],
  [{ by: 'template', template: 'opposite right' }, '152a78134665d1ec', '9f337575c283168a'],
  [{ by: 'template', template: 'around right' }, 'f2b91818e1216d5c', '8e1297eb61d98ff6'],
  [{ by: 'fillers', fillers: 0 }, 'f2b91818e1216d5c', '68ad864f20ede044'],
  [{ by: 'fillers', fillers: 1 }, '506f659952c886b5', '68ad864f20ede044'],
  [{ by: 'fillers', fillers: 2 }, 'b1b2bcfa0e8430d0', '68ad864f20ede044'],
  [{ by: 'fillers', fillers: 3 }, '48179f66fd28dcea', '68ad864f20ede044'],
];

describe('scan', () => {
  const everything = scan({ split: { by: 'length', cutoff: 40, trainShare: 1 } });

  test('has the 20,910 commands and actions of the published file', () => {
    const lines = [...linesOf(everything, 'train'), ...linesOf(everything, 'test')];
    expect([lines.length, fingerprint(lines)]).toEqual([20_910, '6be4b39bc8bf3a20']);
  });

  test('has 13 words, 6 actions, at most 9 words and 48 actions', () => {
    expect([everything.vocabulary.size - 3, everything.actionVocabulary.size - 3]).toEqual([13, 6]);
    expect(Math.max(...everything.sets.train.inputLengths) - 2).toBe(9);
    const lengths = countsOf(everything.sets.test.targetLengths);
    expect([Math.max(...lengths.keys()) - 2, lengths.get(50)]).toEqual([48, 128]);
  });

  test.each([
    [22, 16_990, 3920],
    [24, 17_326, 3584],
    [25, 17_774, 3136],
    [26, 18_286, 2624],
    [27, 18_734, 2176],
    [28, 19_182, 1728],
    [30, 19_758, 1152],
    [32, 20_206, 704],
    [33, 20_462, 448],
    [36, 20_526, 384],
    [40, 20_782, 128],
  ])('up to %i actions there are %i commands, beyond %i', (cutoff, short, long) => {
    const [train, iid, rest] = sizesOf(scan({ split: { by: 'length', cutoff } })) as [number, number, number];
    expect([train + iid, rest]).toEqual([short, long]);
  });

  test('at 26 actions, a tenth of the shorter ones is for the i.i.d. part', () => {
    expect(sizesOf(scan())).toEqual([16_458, 1828, 2624]);
  });

  test.each(published)('the split %j is the published one', (split, train, rest) => {
    const data = scan({ split });
    expect([fingerprint(linesOf(data, 'train')), fingerprint(linesOf(data, 'test'))]).toEqual([train, rest]);
  });

  test('a primitive by itself is a tenth of training, or shares that with random commands that have it', () => {
    const repeats = (split: ScanSplit) => {
      const data = scan({ split });
      return [data.sets.train.size, Math.max(...countsOf(linesOf(data, 'train')).values()), data.sets.test.size];
    };
    // As in the published files; of the others, those for 1, 8 and 32 compositions.
    expect(repeats({ by: 'primitive', primitive: 'jump' })).toEqual([14_670, 1467, 7706]);
    expect(repeats({ by: 'primitive', primitive: 'turn left' })).toEqual([21_890, 2189, 1208]);
    expect(repeats({ by: 'primitive', primitive: 'jump', compositions: 1 }).slice(1)).toEqual([734, 7705]);
    expect(repeats({ by: 'primitive', primitive: 'jump', compositions: 4 })).toEqual([14_668, 293, 7702]);
    expect(repeats({ by: 'primitive', primitive: 'jump', compositions: 32 }).slice(1)).toEqual([44, 7674]);
  });

  test('few examples of a filler are random ones of those that one filler has', () => {
    const none = new Set(linesOf(scan({ split: { by: 'fillers', fillers: 0 } }), 'train'));
    const one = new Set(linesOf(scan({ split: { by: 'fillers', fillers: 1 } }), 'train'));
    const few = linesOf(scan({ split: { by: 'fillers', fillers: 0, examples: 16 } }), 'train');
    expect(few).toHaveLength(15_225 + 16);
    const more = few.filter((line) => !none.has(line));
    expect([more.length, more.every((line) => one.has(line))]).toEqual([16, true]);
  });

  test('by chance, sizes are the published ones', () => {
    const sizes = (trainShare?: number) =>
      sizesOf(scan({ split: { by: 'chance', ...(trainShare && { trainShare }) } }));
    expect([sizes(), sizes(0.01), sizes(0.64)]).toEqual([
      [16_728, 0, 4182],
      [209, 0, 20_701],
      [13_382, 0, 7528],
    ]);
  });

  test('no command is in two parts', () => {
    const splits: ScanSplit[] = [
      { by: 'chance' },
      { by: 'length' },
      { by: 'primitive', primitive: 'jump', compositions: 8 },
      { by: 'fillers', fillers: 0, examples: 64 },
    ];
    for (const split of splits)
      expectDisjoint(scan({ split, seed: 3 }).sets, split.by === 'primitive' ? 'train' : undefined);
  });

  test('a smaller grammar has the commands of the whole one with its words', () => {
    const whole = new Set([...linesOf(everything, 'train'), ...linesOf(everything, 'test')]);
    const verbs = ['walk', 'look', 'run', 'jump'] as const;
    fc.assert(
      fc.property(
        fc.subarray([...verbs]),
        fc.subarray(['opposite' as const, 'around' as const]),
        (someVerbs, turns) => {
          const data = scan({ verbs: someVerbs, turns, split: { by: 'chance', trainShare: 0.5 } });
          const lines = [...linesOf(data, 'train'), ...linesOf(data, 'test')];
          const missing = [...verbs.filter((verb) => !someVerbs.includes(verb)), 'opposite', 'around'].filter(
            (word) => !turns.includes(word as 'around'),
          );
          const expected = [...whole].filter((line) => !missing.some((word) => line.split(' OUT')[0]?.includes(word)));
          expect(new Set(lines)).toEqual(new Set(expected));
        },
      ),
      { numRuns: 5 },
    );
    const mini = scan({
      verbs: ['walk', 'jump'],
      turns: ['opposite'],
      split: { by: 'length', cutoff: 6, longest: 9 },
    });
    expect(Math.max(...mini.sets.train.targetLengths) - 2).toBe(6);
    expect([...countsOf(mini.sets.test.targetLengths).keys()].sort((a, b) => a - b)).toEqual([9, 10, 11]);
  });

  test('has the same bytes on every platform, and another seed another division', () => {
    expect(digestOfSets(scan({ seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "iid": "8bb78b343390b734",
        "test": "c9ecc8e3132a60c5",
        "train": "56a640b87abc4832",
      }
    `);
    expect(linesOf(scan({ seed: 2 }), 'iid')).not.toEqual(linesOf(scan({ seed: 1 }), 'iid'));
  });

  test('refuses what it cannot divide', () => {
    expect(() => scan({ split: { by: 'length', cutoff: 48 } })).toThrow('leaves no command for the test');
    expect(() => scan({ verbs: ['walk'], split: { by: 'primitive', primitive: 'jump' } })).toThrow('for the test');
    expect(() => scan({ verbs: ['walk', 'walk'] })).toThrow('verbs must be different ones of walk, look, run, jump');
    expect(() => scan({ split: { by: 'chance', trainShare: 0 } })).toThrow('trainShare must be more than 0');
    expect(() => scan({ split: { by: 'fillers', fillers: 1, examples: 4 } })).toThrow(
      'examples must be an integer from 0 to 0',
    );
    expect(() => scan({ split: { by: 'mcd' } as unknown as ScanSplit })).toThrow('split.by must be chance, length');
  });
});
