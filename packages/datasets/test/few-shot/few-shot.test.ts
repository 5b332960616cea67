import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ClassSource,
  type ClassSplits,
  type FewShotBatch,
  fewShot,
  gaussianClasses,
  sequentialFewShot,
} from '../../src/index.ts';

/** Examples that say what they are: [source, class, example]. */
const numbered = (source: number, classCount = 12, exampleCount = 20): ClassSplits => {
  const classes: ClassSource = {
    name: `numbered-${source}`,
    shape: [3],
    classCount,
    exampleCount,
    read: (classIndex, example, into) => into.set([source, classIndex, example]),
  };
  return { train: classes, validation: classes, test: classes };
};

/** The sequences of a batch, position by position; unused positions at the end are left out. */
function sequencesOf({ batchSize, length, examples, labels, targets, mask }: FewShotBatch) {
  return Array.from({ length: batchSize }, (_, row) =>
    Array.from({ length }, (_, t) => {
      const place = row * length + t;
      const [source, classIndex, example] = examples.subarray(3 * place, 3 * place + 3);
      return {
        source: source as number,
        classIndex: classIndex as number,
        id: `${classIndex} ${example}`,
        label: labels[place] as number,
        target: targets[place] as number,
        isAsked: mask[place] === 1,
      };
    }),
  );
}

/** How many of each there are, in any order. */
const countsOf = (values: number[]) =>
  [...new Set(values)].map((value) => values.filter((other) => other === value).length).sort();

const sizes = fc.record({
  ways: fc.integer({ min: 1, max: 6 }),
  shots: fc.integer({ min: 1, max: 4 }),
  futureShots: fc.nat(3),
  seed: fc.nat(),
});

describe('fewShot', () => {
  test('synchronous labels: examples with the labels of their classes, then a query without', () => {
    fc.assert(
      fc.property(sizes, ({ ways, shots, futureShots, seed }) => {
        const task = fewShot({ classes: numbered(0), ways, shots, futureShots, seed });
        expect(task.lengths.train).toBe(ways * (shots + futureShots) + 1);
        for (const sequence of sequencesOf(task.batch(0, 3))) {
          const [query, ...support] = sequence.toReversed() as [(typeof sequence)[0], ...typeof sequence];
          const labelOf = new Map(support.map(({ classIndex, label }) => [classIndex, label]));
          expect([...labelOf.values()].sort()).toEqual(Array.from({ length: ways }, (_, label) => label));
          for (const { classIndex, label, target, isAsked } of support)
            expect([label, target, isAsked]).toEqual([labelOf.get(classIndex), 0, false]);
          expect([query.label, query.target, query.isAsked]).toEqual([ways, labelOf.get(query.classIndex), true]);
          // No example comes twice; the future comes after the first shots.
          expect(new Set(sequence.map(({ id }) => id)).size).toBe(sequence.length);
          const classes = sequence.map(({ classIndex }) => classIndex);
          expect(countsOf(classes.slice(0, ways * shots))).toEqual(new Array(ways).fill(shots));
          expect(countsOf(classes.slice(ways * shots, -1))).toEqual(
            futureShots === 0 ? [] : new Array(ways).fill(futureShots),
          );
        }
      }),
    );
  });

  test('delayed labels: each example with the label of the one before; every label is a target', () => {
    fc.assert(
      fc.property(sizes, ({ ways, shots, seed }) => {
        const task = fewShot({ classes: numbered(0), ways, shots, labels: 'delayed', seed });
        expect(task.lengths.train).toBe(ways * shots);
        for (const sequence of sequencesOf(task.batch(0, 3))) {
          expect(sequence.every(({ isAsked }) => isAsked)).toBe(true);
          const targets = sequence.map(({ target }) => target);
          expect(sequence.map(({ label }) => label)).toEqual([ways, ...targets.slice(0, -1)]);
          expect(countsOf(targets)).toEqual(new Array(ways).fill(shots));
          expect(new Set(sequence.map(({ classIndex, target }) => `${classIndex} ${target}`)).size).toBe(ways);
        }
      }),
    );
  });

  test('classes, their labels, their order and the query are random', () => {
    const task = fewShot({ classes: numbered(0, 4), ways: 2, shots: 2 });
    const sequences = sequencesOf(task.batch(0, 2400));
    const histogram = (key: (sequence: (typeof sequences)[0]) => unknown) => {
      const counts = new Map<unknown, number>();
      for (const sequence of sequences) counts.set(key(sequence), (counts.get(key(sequence)) ?? 0) + 1);
      return [...counts.values()];
    };
    const isUniform = (counts: number[], kinds: number) => {
      expect(counts.length).toBe(kinds);
      for (const count of counts) expect(Math.abs(count - 2400 / kinds)).toBeLessThan(4.5 * Math.sqrt(2400 / kinds));
    };
    isUniform(
      histogram((sequence) => {
        const classOf = new Map(sequence.slice(0, 4).map(({ label, classIndex }) => [label, classIndex]));
        return `${classOf.get(0)} ${classOf.get(1)}`;
      }),
      12,
    );
    isUniform(
      histogram((sequence) =>
        sequence
          .slice(0, 4)
          .map(({ label }) => label)
          .join(''),
      ),
      6,
    );
    isUniform(
      histogram((sequence) => sequence[4]?.target),
      2,
    );
  });

  test('evaluation may have more shots; examples keep their shape', () => {
    const task = fewShot({ classes: gaussianClasses({ size: 5 }), shots: 2, evaluationShots: 4 });
    expect([task.lengths, task.exampleShape]).toEqual([{ train: 11, validation: 21, test: 21 }, [5]]);
    expect(task.batch(0, 3, 'test').examples.length).toBe(3 * 21 * 5);
  });

  test('refuses options out of range, and classes that are not enough', () => {
    const classes = numbered(0, 4, 3);
    expect(() => fewShot({ classes, ways: 0 })).toThrow('ways must be an integer of at least 1, but is 0');
    expect(() => fewShot({ classes, shots: 0 })).toThrow('shots must be an integer of at least 1, but is 0');
    expect(() => fewShot({ classes, labels: 'late' as 'delayed' })).toThrow(
      'must be synchronous or delayed, but is late',
    );
    expect(() => fewShot({ classes }).batch(0, 1, 'test')).toThrow(
      'few-shot/synchronous/numbered-0: a sequence needs 5 classes with 2 examples each; there are 4 with 3 for test',
    );
    expect(() => fewShot({ classes, ways: 4, shots: 3 }).batch(0, 1)).toThrow('needs 4 classes with 4 examples each');
  });
});

describe('sequentialFewShot', () => {
  test('one part of each source, in random order, with labels that go on over the border', () => {
    const [ways, shots] = [3, 4];
    fc.assert(
      fc.property(fc.nat(), fc.nat(11), fc.constantFrom('train' as const, 'test' as const), (seed, maxTrim, split) => {
        const task = sequentialFewShot({ classes: [numbered(0), numbered(1)], ways, shots, maxTrim, seed });
        expect(task.lengths.train).toBe(24);
        const batch = task.batch(0, 4, split);
        sequencesOf(batch).forEach((whole, row) => {
          const sequence = whole.filter(({ isAsked }) => isAsked);
          expect(whole.slice(0, sequence.length)).toEqual(sequence);
          expect(whole.slice(sequence.length).every(({ label, id }) => label === ways && id === '0 0')).toBe(true);
          const sources = sequence.map(({ source }) => source);
          expect(Array.from(batch.sources.subarray(row * 24, row * 24 + sources.length))).toEqual(sources);
          const border = sources.lastIndexOf(sources[0] as number) + 1;
          expect(new Set(sources.slice(border)).size).toBe(1);
          for (const part of [sequence.slice(0, border), sequence.slice(border)]) {
            expect(part.length).toBeLessThanOrEqual(12);
            expect(part.length).toBeGreaterThanOrEqual(split === 'train' ? 12 - maxTrim : 12);
            expect(new Set(part.map(({ classIndex, target }) => `${classIndex} ${target}`)).size).toBe(
              new Set(part.map(({ classIndex }) => classIndex)).size,
            );
          }
          const targets = sequence.map(({ target }) => target);
          expect(sequence.map(({ label }) => label)).toEqual([ways, ...targets.slice(0, -1)]);
        });
      }),
    );
  });

  test('both orders and all lengths occur', () => {
    const task = sequentialFewShot({ classes: [numbered(0), numbered(1)], ways: 2, shots: 2 });
    const sequences = sequencesOf(task.batch(0, 300)).map((whole) => whole.filter(({ isAsked }) => isAsked));
    expect(new Set(sequences.map(([first]) => first?.source))).toEqual(new Set([0, 1]));
    expect(new Set(sequences.map(({ length }) => length))).toEqual(new Set([2, 3, 4, 5, 6, 7, 8]));
  });

  test('refuses sources that do not fit together', () => {
    expect(() => sequentialFewShot({ classes: [] })).toThrow('must have at least one source');
    expect(() => sequentialFewShot({ classes: [numbered(0), gaussianClasses()] })).toThrow(
      'examples must have the same shape, but are [3] and [16]',
    );
    expect(() => sequentialFewShot({ classes: [numbered(0)], ways: 2, shots: 2, maxTrim: 4 })).toThrow(
      'maxTrim must be an integer from 0 to 3, but is 4',
    );
  });
});
