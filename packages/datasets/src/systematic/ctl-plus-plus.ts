/**
 * CTL++: compositions of known functions in patterns that training never shows. Functions are divided into groups; training
 * and test have the same functions and the same lengths, but functions of other groups follow one another.
 *
 *     variant       training                                test
 *     R             a → a, b → b                            a → b, b → a
 *     A             a → b, b → a                            a → a, b → b
 *     two-stage     (a1 → a2 or b1 → b2), again and again   (a1 → b2 or b1 → a2), again and again
 *
 * In the two-stage variant some functions o can be second after both a1 and b1, with some symbols (`overlap.symbols`) after
 * both and each of the others after one: the more of this overlap, the more reason there is for a1 and b1 to represent
 * symbols alike.
 *
 * Csordás, Irie, Schmidhuber, "CTL++: Evaluating Generalization on Never-Seen Compositional Patterns of Known Functions,
 * and Compatibility of Neural Representations" (EMNLP 2022).
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import type { IntegerRange } from '../tasks/ranges.ts';

import { drawDistinct, integersBetween, type KnownSentences, takeSentence } from './distinct-examples.ts';
import { type Classification, type ClassificationSet, classificationSet } from './example-sets.ts';
import { type GroupGraph, type RestrictedEdge, type Walks, walks } from './function-graph.ts';
import {
  type CompositionFormat,
  composition,
  compositionVocabulary,
  countBijections,
  drawBijections,
} from './function-tables.ts';
import type { SentenceVocabulary } from './sentences.ts';

/** Variants of {@link ctlPlusPlus}. */
export type CtlPlusPlusVariant = 'R' | 'A' | 'two-stage';

/** Options of {@link ctlPlusPlus}. */
export interface CtlPlusPlusOptions extends TaskOptions {
  /** Which groups follow which in training. Default `'R'`. */
  readonly variant?: CtlPlusPlusVariant;
  /** Where the functions stand. Default `'backward'`: the symbol is last. */
  readonly format?: CompositionFormat;
  /** Symbols that the functions are bijections of. Default 8. */
  readonly symbols?: number;
  /** Functions of all groups together. Default 32. */
  readonly functions?: number;
  /** Functions of a composition. Default [2, 6]. The two-stage variant has even numbers only. */
  readonly depths?: IntegerRange;
  /**
   * What the halves of the two-stage variant share: how many functions, and how many symbols each of these is shown with
   * after both a1 and b1. Default: no functions. The paper's grid is 4, 8, 12, 16 functions by 2, 3, 4, 5, 6 symbols.
   */
  readonly overlap?: { readonly functions: number; readonly symbols: number };
  /** Examples for training, besides all pairs of functions; fewer if there aren't as many. Default 300,000. */
  readonly trainExamples?: number;
  /** Examples of each other set; fewer if there aren't as many. Default 1,000. */
  readonly evaluationExamples?: number;
}

/** Parts of {@link ctlPlusPlus}; see there. */
export type CtlPlusPlusPart = 'train' | 'iid' | 'outOfDistribution' | 'anyOrder' | 'unseenSymbols';

/** A data set of compositions whose groups follow one another in a pattern. */
export interface CtlPlusPlus {
  /** Words: symbols as digits, then functions as letters. */
  readonly vocabulary: SentenceVocabulary;
  /** Names of the classes, which are the symbols. */
  readonly classes: readonly string[];
  /** Value of function f at symbol x: `tables[f][x]`. */
  readonly tables: readonly Int32Array[];
  /** Functions of each group: a and b, or a1, a2, b1, b2 and o. */
  readonly groups: Readonly<Record<string, readonly number[]>>;
  /** When functions of o may follow a1 and b1 in training; empty for other variants. */
  readonly restrictedEdges: readonly RestrictedEdge[];
  /** Number of all examples that training could have, by their depth. */
  readonly possibleTrainExamples: ReadonlyMap<number, number>;
  /** The examples; their depth is the number of functions. */
  readonly sets: Readonly<Record<CtlPlusPlusPart, ClassificationSet>>;
}

/**
 * Generates the data set.
 *
 * - `train`: at most half of what is possible of each depth, else as many of each depth; and all pairs of functions that
 *   the variant allows.
 * - `iid`: more like those of training.
 * - `outOfDistribution`: the test, with the other pattern of groups.
 * - `anyOrder`: any function after any other.
 * - `unseenSymbols`: functions of the overlap after a1 and b1, all with values that training doesn't have there. Empty
 *   for other variants.
 *
 * No example is in two of them or twice in one. (In the authors' data a pair that was drawn is in the training set twice, or
 * in `iid` as well.)
 *
 * @throws RangeError if an option is out of range
 */
export function ctlPlusPlus({
  variant = 'R',
  format = 'backward',
  symbols = 8,
  functions = 32,
  depths = [2, 6],
  overlap = { functions: 0, symbols },
  trainExamples = 300_000,
  evaluationExamples = 1000,
  seed = 0,
}: CtlPlusPlusOptions = {}): CtlPlusPlus {
  const name = 'ctlPlusPlus';
  if (!['R', 'A', 'two-stage'].includes(variant)) {
    throw new RangeError(`${name}: variant must be one of R, A, two-stage, but is ${String(variant)}.`);
  }
  const groupNames = variant === 'two-stage' ? ['a1', 'a2', 'b1', 'b2'] : ['a', 'b'];
  assertInteger(`${name}: symbols`, symbols, 2, 1024);
  assertInteger(`${name}: functions`, functions, groupNames.length, Math.min(1024, countBijections(symbols)));
  assertInteger(`${name}: depths[0]`, depths[0], 2);
  assertInteger(`${name}: depths[1]`, depths[1], depths[0], 12);
  const mostShared = variant === 'two-stage' ? functions - groupNames.length : 0;
  assertInteger(`${name}: overlap.functions`, overlap.functions, 0, mostShared);
  assertInteger(`${name}: overlap.symbols`, overlap.symbols, 1, symbols);
  assertInteger(`${name}: trainExamples`, trainExamples, 0);
  assertInteger(`${name}: evaluationExamples`, evaluationExamples, 0);

  const stream = (part: string) => createRandom(seed, 'ctl-plus-plus', part);
  const tables = drawBijections(functions, symbols, stream('tables'));
  const groups = divideFunctions(groupNames, functions, overlap.functions);
  const restrictedEdges = restrictOverlap(groups['o'] ?? [], symbols, overlap.symbols, stream('overlap'));
  const graphs = graphsOf(variant, restrictedEdges, symbols);
  const allowed = walks(graphs.train, groups, tables);

  const known: KnownSentences = new Set();
  const example = ({ symbol, functions: applied }: { symbol: number; functions: readonly number[] }) =>
    composition(tables, symbols, format, symbol, applied);
  const draw = (what: string, possible: ReadonlyMap<number, number>, from: Walks, count: number, share: number) => {
    const random = stream(what);
    return [...countsByDepth(possible, count, share)].flatMap(([depth, wanted]): Classification[] => {
      const drawExample = () => {
        const walk = from.draw(depth, random);
        return walk && example(walk);
      };
      return [...drawDistinct(`${name}: ${what} of depth ${depth}`, wanted, known, drawExample)];
    });
  };
  const possibleFor = (from: Walks) => new Map(integersBetween(depths).map((depth) => [depth, from.count(depth)]));
  const possibleTrainExamples = possibleFor(allowed);
  const drawn = draw('train', possibleTrainExamples, allowed, trainExamples + evaluationExamples, 0.5);
  const order = stream('division').permutation(drawn.length);
  const part = (begin: number, end?: number) =>
    Array.from(order.subarray(begin, end), (i) => drawn[i] as Classification);
  const iidCount = Math.min(evaluationExamples, Math.floor(drawn.length / 2));
  const allPairs = (from: Walks) => [...from.all(2)].map(example).filter(({ input }) => takeSentence(known, input));
  const morePairs = depths[0] > 2 ? [] : allPairs(allowed);
  const unseenSymbols = allPairs(walks(graphs.unseenSymbols, groups, tables));
  const test = walks(graphs.test, groups, tables);
  const outOfDistribution = draw('test', possibleFor(test), test, evaluationExamples, 1);
  const everything = Object.keys(groups);
  const any = walks({ first: everything, next: mapAll(everything, everything), last: everything }, groups, tables);
  // All that was drawn before has some order. Of the rest half is left, so that it needn't be searched for.
  const taken = countKeys(known);
  const others = new Map([...possibleFor(any)].map(([depth, number]) => [depth, number - (taken.get(depth) ?? 0)]));
  const anyOrder = draw('any order', others, any, evaluationExamples, 0.5);

  const symbolNames = integersBetween([0, symbols - 1]).map(String);
  return {
    vocabulary: compositionVocabulary(symbolNames, functions),
    classes: symbolNames,
    tables,
    groups,
    restrictedEdges,
    possibleTrainExamples,
    sets: {
      train: classificationSet([...part(iidCount), ...morePairs]),
      iid: classificationSet(part(0, iidCount)),
      outOfDistribution: classificationSet(outOfDistribution),
      anyOrder: classificationSet(anyOrder),
      unseenSymbols: classificationSet(unseenSymbols),
    },
  };
}

/** The overlap's functions first, the others in blocks of equal size (the last may be smaller). */
function divideFunctions(names: readonly string[], functions: number, shared: number): Record<string, number[]> {
  const block = Math.ceil((functions - shared) / names.length);
  const groups = names.map((name, i) => {
    const begin = shared + i * block;
    return [name, integersBetween([begin, Math.min(begin + block, functions) - 1])];
  });
  return { ...Object.fromEntries(groups), ...(shared > 0 ? { o: integersBetween([0, shared - 1]) } : {}) };
}

/**
 * When a1 and b1 may be followed by each shared function. `sharedSymbols` symbols are allowed after both, taken in turn from
 * an order of all that is shuffled when it has been gone through; of the others the first half is allowed after a1, the
 * second after b1.
 */
function restrictOverlap(shared: readonly number[], symbols: number, count: number, random: Random): RestrictedEdge[] {
  const all = integersBetween([0, symbols - 1]);
  const shuffleEvery = Math.ceil(symbols / count);
  let order: ArrayLike<number> = all;
  return shared.flatMap((f, i) => {
    const both = new Set(Array.from({ length: count }, (_, j) => order[(i * count + j) % symbols] as number));
    const others = all.filter((symbol) => !both.has(symbol));
    // A single symbol goes to one of the two at random.
    const half = others.length === 1 ? random.integer(2) : Math.ceil(others.length / 2);
    if (i % shuffleEvery === shuffleEvery - 1) order = random.permutation(symbols);
    return [
      { from: 'a1', function: f, symbols: new Set([...both, ...others.slice(0, half)]) },
      { from: 'b1', function: f, symbols: new Set([...both, ...others.slice(half)]) },
    ];
  });
}

function graphsOf(
  variant: CtlPlusPlusVariant,
  restricted: readonly RestrictedEdge[],
  symbols: number,
): { train: GroupGraph; test: GroupGraph; unseenSymbols: GroupGraph } {
  const nothing = { first: [], next: {}, last: [] };
  if (variant !== 'two-stage') {
    const repeat = { first: ['a', 'b'], next: { a: ['a'], b: ['b'] }, last: ['a', 'b'] };
    const alternate = { first: ['a', 'b'], next: { a: ['b'], b: ['a'] }, last: ['a', 'b'] };
    const [train, test] = variant === 'R' ? [repeat, alternate] : [alternate, repeat];
    return { train, test, unseenSymbols: nothing };
  }
  const first = ['a1', 'b1'];
  const again = mapAll(['a2', 'b2', 'o'], first);
  const unseen = restricted.map((edge) => {
    const others = integersBetween([0, symbols - 1]).filter((symbol) => !edge.symbols.has(symbol));
    return { ...edge, symbols: new Set(others) };
  });
  return {
    train: { first, next: { a1: ['a2'], b1: ['b2'], ...again }, last: ['a2', 'b2', 'o'], restricted },
    test: { first, next: { a1: ['b2'], b1: ['a2'], ...again }, last: ['a2', 'b2'] },
    unseenSymbols: { first, next: {}, last: ['o'], restricted: unseen },
  };
}

function mapAll<T>(keys: readonly string[], value: T): Record<string, T> {
  return Object.fromEntries(keys.map((key) => [key, value]));
}

/** How many examples of each depth: at most a share of those there are, else the same number of each. */
function countsByDepth(possible: ReadonlyMap<number, number>, count: number, share: number): Map<number, number> {
  const depths = [...possible].filter(([, number]) => number > 0);
  let remaining = count;
  return new Map(
    depths.map(([depth, number], i) => {
      const wanted = Math.min(Math.floor(share * number), Math.ceil(remaining / (depths.length - i)));
      remaining -= wanted;
      return [depth, wanted];
    }),
  );
}

/** Known compositions by their depth. */
function countKeys(known: KnownSentences): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { length } of known) counts.set(length - 1, (counts.get(length - 1) ?? 0) + 1);
  return counts;
}
