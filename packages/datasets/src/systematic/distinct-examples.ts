/**
 * Random examples of which none occurs twice.
 *
 * The parts of a data set share one set of known sentences, so that no example of one is in another.
 */

import type { IntegerRange } from '../tasks/ranges.ts';

/** Sentences that are taken, as strings of one character per token. */
export type KnownSentences = Set<string>;

/** Draws in a row without a new example after which there seem to be no more of them. */
const PATIENCE = 5_000_000;

/** Takes a sentence; false if it was taken already. */
export function takeSentence(known: KnownSentences, tokens: readonly number[]): boolean {
  const { size } = known;
  known.add(String.fromCharCode(...tokens));
  return known.size > size;
}

/**
 * Draws `count` examples that are not known.
 *
 * @param what how an error calls the examples
 * @param draw gives an example, or `undefined` if this draw led to none that is wanted
 * @throws RangeError if no new example turns up any more
 */
export function* drawDistinct<T extends { readonly input: readonly number[] }>(
  what: string,
  count: number,
  known: KnownSentences,
  draw: () => T | undefined,
): Generator<T, void> {
  for (let drawn = 0, failures = 0; drawn < count; ) {
    const example = draw();
    if (example !== undefined && takeSentence(known, example.input)) {
      drawn++;
      failures = 0;
      yield example;
    } else if (++failures === PATIENCE) {
      throw new RangeError(`${what}: there are too few different examples; ${count - drawn} of ${count} are missing.`);
    }
  }
}

/**
 * Draws examples that are not known, until there are as many of each depth as `counts` says.
 *
 * @param draw gives something of some depth
 * @param spell makes an example of it; called only if this depth is wanted
 */
export function* drawByDepth<Draft extends { readonly depth: number }, T extends Draft & { input: readonly number[] }>(
  what: string,
  counts: ReadonlyMap<number, number>,
  known: KnownSentences,
  draw: () => Draft | undefined,
  spell: (draft: Draft) => T,
): Generator<T, void> {
  const missing = new Map(counts);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const drawWanted = (): T | undefined => {
    const draft = draw();
    return draft !== undefined && (missing.get(draft.depth) ?? 0) > 0 ? spell(draft) : undefined;
  };
  for (const example of drawDistinct(what, total, known, drawWanted)) {
    missing.set(example.depth, (missing.get(example.depth) as number) - 1);
    yield example;
  }
}

/** Divides `total` as equally as possible among the integers of a range. */
export function shareEqually(total: number, range: IntegerRange): Map<number, number> {
  const keys = integersBetween(range);
  return new Map(keys.map((key, i) => [key, Math.floor((total + i) / keys.length)]));
}

/** The integers from `least` to `most`. */
export function integersBetween([least, most]: IntegerRange): number[] {
  return Array.from({ length: Math.max(0, most - least + 1) }, (_, i) => least + i);
}
