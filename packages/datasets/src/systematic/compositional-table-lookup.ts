/**
 * Compositional table lookup (CTL): functions are random bijections of a few symbols; what is asked for is the value of a
 * composition of them. Training has short compositions, tests have longer ones.
 *
 *     forward    000 c a b   →   b(a(c(000)))
 *     backward   b a c 000   →   the same
 *
 * In the forward format the functions can be applied while reading, in the backward format they can't.
 *
 * As in Csordás, Irie, Schmidhuber, "The Neural Data Router: Adaptive Control Flow in Transformers Improves Systematic
 * Generalization" (ICLR 2022); the task is of Liška, Kruszewski, Baroni, "Memorize or generalize? Searching for a
 * compositional RNN in a haystack" (2018).
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import { drawBetween, type IntegerRange } from '../tasks/ranges.ts';

import { drawDistinct, type KnownSentences } from './distinct-examples.ts';
import { type Classification, type ClassificationSet, classificationSet } from './example-sets.ts';
import {
  type CompositionFormat,
  composition,
  compositionVocabulary,
  countBijections,
  drawBijections,
} from './function-tables.ts';
import type { SentenceVocabulary } from './sentences.ts';

/** Options of {@link compositionalTableLookup}. */
export interface CompositionalTableLookupOptions extends TaskOptions {
  /** Where the functions stand. Default `'forward'`. */
  readonly format?: CompositionFormat;
  /** Symbols that the functions are bijections of. Default 8. */
  readonly symbols?: number;
  /** Functions that are composed in training. Default 9. */
  readonly functions?: number;
  /** More functions, which training shows only by themselves. Default 2. */
  readonly newFunctions?: number;
  /** How often training has each value of a new function, so that it can be remembered. Default 31. */
  readonly newFunctionRepeats?: number;
  /** Most functions of a training composition; at least 2. Default 5. */
  readonly maxDepth?: number;
  /** Functions of a composition of `deeperValidation`. Default `maxDepth` + [1, 3]. */
  readonly deeperValidationDepths?: IntegerRange;
  /** Functions of a composition of `deeper`. Default `maxDepth` + [4, 5]. */
  readonly deeperDepths?: IntegerRange;
  /** Compositions to train on, besides the values of single functions. Default: a tenth of all there are. */
  readonly trainExamples?: number;
  /** Examples of `validation` and of `test`. Default: as many as training has compositions, up to 4,000. */
  readonly evaluationExamples?: number;
  /** Examples of `deeperValidation`, of `deeper`, and of `newFunctions` for each new function. Default 1,000. */
  readonly extrapolationExamples?: number;
  /** Most compositions of each depth that training has with no symbol; never more than a quarter of them. Default 200. */
  readonly heldOutCompositions?: number;
}

/** Parts of {@link compositionalTableLookup}; see there. */
export type CompositionalTableLookupPart =
  | 'train'
  | 'validation'
  | 'test'
  | 'deeperValidation'
  | 'deeper'
  | 'heldOutCompositions'
  | 'newFunctions';

/** A data set of compositions of functions. */
export interface CompositionalTableLookup {
  /** Words: symbols as binary numbers, then functions as letters. */
  readonly vocabulary: SentenceVocabulary;
  /** Names of the classes, which are the symbols. */
  readonly classes: readonly string[];
  /** Value of function f at symbol x: `tables[f][x]`. The new functions are the last. */
  readonly tables: readonly Int32Array[];
  /** The examples; their depth is the number of functions. */
  readonly sets: Readonly<Record<CompositionalTableLookupPart, ClassificationSet>>;
}

/**
 * Generates the data set.
 *
 * - `train`: all values of single functions (those of the new functions several times), and compositions of 2 to `maxDepth`
 *   functions. The number of functions is drawn uniformly, but no example is there twice, so that most are deep.
 * - `validation`, `test`: more compositions like those for training.
 * - `deeperValidation`, `deeper`: compositions of more functions.
 * - `heldOutCompositions`: compositions that training has with no symbol, each with one symbol.
 * - `newFunctions`: compositions with one of the functions that training shows only by themselves.
 *
 * No example is in two of them. (The authors' test set has the values of single functions as well; they are in their
 * training set too. So are the single functions among their held-out compositions.)
 *
 * @throws RangeError if an option is out of range, or there are not enough different examples
 */
export function compositionalTableLookup({
  format = 'forward',
  symbols = 8,
  functions = 9,
  newFunctions = 2,
  newFunctionRepeats = 31,
  maxDepth = 5,
  deeperValidationDepths = [maxDepth + 1, maxDepth + 3],
  deeperDepths = [maxDepth + 4, maxDepth + 5],
  trainExamples,
  evaluationExamples,
  extrapolationExamples = 1000,
  heldOutCompositions = 200,
  seed = 0,
}: CompositionalTableLookupOptions = {}): CompositionalTableLookup {
  const name = 'compositionalTableLookup';
  assertInteger(`${name}: symbols`, symbols, 2, 1024);
  assertInteger(`${name}: functions`, functions, 1, 1024);
  assertInteger(`${name}: newFunctions`, newFunctions, 0, Math.min(1024, countBijections(symbols) - functions));
  assertInteger(`${name}: newFunctionRepeats`, newFunctionRepeats, 1);
  assertInteger(`${name}: maxDepth`, maxDepth, 2, 64);
  for (const [option, [least, most]] of Object.entries({ deeperValidationDepths, deeperDepths })) {
    assertInteger(`${name}: ${option}[0]`, least, maxDepth + 1);
    assertInteger(`${name}: ${option}[1]`, most, least);
  }
  let possible = 0;
  for (let depth = 2; depth <= maxDepth; depth++) possible += symbols * functions ** depth;
  const trainCount = trainExamples ?? Math.floor(possible / 10);
  const evaluationCount = evaluationExamples ?? Math.min(trainCount, 4000);
  assertInteger(`${name}: trainExamples`, trainCount, 0);
  assertInteger(`${name}: evaluationExamples`, evaluationCount, 0);
  assertInteger(`${name}: extrapolationExamples`, extrapolationExamples, 0);
  assertInteger(`${name}: heldOutCompositions`, heldOutCompositions, 0);

  const stream = (part: string) => createRandom(seed, 'compositional-table-lookup', part);
  const tables = drawBijections(functions + newFunctions, symbols, stream('tables'));
  const example = (symbol: number, applied: readonly number[]) => composition(tables, symbols, format, symbol, applied);
  const drawFunctions = (random: Random, depths: IntegerRange): number[] =>
    Array.from({ length: drawBetween(depths, random) }, () => random.integer(functions));

  const heldOut = drawHeldOut(functions, maxDepth, heldOutCompositions, stream('held-out compositions'));
  const known: KnownSentences = new Set();
  const draw = (part: string, count: number, drawApplied: (random: Random) => number[]): Classification[] => {
    const random = stream(part);
    const drawExample = () => {
      const applied = drawApplied(random);
      return heldOut.has(applied.join()) ? undefined : example(random.integer(symbols), applied);
    };
    return [...drawDistinct(`${name}: ${part}`, count, known, drawExample)];
  };

  const short = draw('compositions', trainCount + 2 * evaluationCount, (random) =>
    drawFunctions(random, [2, maxDepth]),
  );
  const order = stream('division').permutation(short.length);
  const part = (begin: number, end?: number) =>
    Array.from(order.subarray(begin, end), (i) => short[i] as Classification);

  const facts = tables.flatMap((table, f) => {
    const repeats = f < functions ? 1 : newFunctionRepeats;
    return Array.from({ length: repeats * table.length }, (_, i) => example(i % table.length, [f]));
  });
  const heldOutStream = stream('symbols of held-out compositions');
  const withNewFunction = (f: number) =>
    draw(`compositions with new function ${f}`, extrapolationExamples, (random) => {
      const applied = Array.from({ length: 2 + random.integer(maxDepth - 1) }, () => {
        const drawn = random.integer(functions + 1);
        return drawn === functions ? f : drawn;
      });
      applied[random.integer(applied.length)] = f;
      return applied;
    });
  const deeper = (which: string, depths: IntegerRange) =>
    classificationSet(draw(which, extrapolationExamples, (random) => drawFunctions(random, depths)));

  const symbolNames = binaryNames(symbols);
  return {
    vocabulary: compositionVocabulary(symbolNames, tables.length),
    classes: symbolNames,
    tables,
    sets: {
      train: classificationSet([...facts, ...part(2 * evaluationCount)]),
      validation: classificationSet(part(0, evaluationCount)),
      test: classificationSet(part(evaluationCount, 2 * evaluationCount)),
      deeperValidation: deeper('deeper validation', deeperValidationDepths),
      deeper: deeper('deeper', deeperDepths),
      heldOutCompositions: classificationSet(
        [...heldOut.values()].map((applied) => example(heldOutStream.integer(symbols), applied)),
      ),
      newFunctions: classificationSet(
        Array.from({ length: newFunctions }, (_, i) => withNewFunction(functions + i)).flat(),
      ),
    },
  };
}

/** Compositions that training has with no symbol: at most `most` of each depth and a quarter, rounded up, of them. */
function drawHeldOut(functions: number, maxDepth: number, most: number, random: Random): Map<string, number[]> {
  const heldOut = new Map<string, number[]>();
  for (let depth = 2; depth <= maxDepth; depth++) {
    const end = heldOut.size + Math.min(most, Math.ceil(functions ** depth / 4));
    while (heldOut.size < end) {
      const applied = Array.from({ length: depth }, () => random.integer(functions));
      heldOut.set(applied.join(), applied);
    }
  }
  return heldOut;
}

/** 0 … count − 1 as binary numbers of equal length. */
function binaryNames(count: number): string[] {
  const bits = 32 - Math.clz32(count - 1);
  return Array.from({ length: count }, (_, i) => i.toString(2).padStart(bits, '0'));
}
