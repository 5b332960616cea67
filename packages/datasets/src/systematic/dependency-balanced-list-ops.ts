/**
 * ListOps, balanced by how many steps one after the other the value really depends on.
 *
 *     [SM 3 [MAX 2 9 [MIN 4 7 ] ] ]   →   2        (SM: sum modulo 10, MED: median)
 *
 * Most of a deep list doesn't matter for its value: MIN, MAX and MED choose one or two of their elements. The dependency
 * depth counts only what matters: 1 for a digit; for a list, 1 more than the largest among the elements that its value is
 * made of, which are all for SM, the chosen one for MIN and MAX (of equal ones the first), the one or two in the middle
 * for MED (its value is their mean, rounded down).
 *
 * As in Csordás, Irie, Schmidhuber, "The Neural Data Router: Adaptive Control Flow in Transformers Improves Systematic
 * Generalization" (ICLR 2022); ListOps is of Nangia, Bowman, "ListOps: A Diagnostic Dataset for Latent Tree Learning" (2018).
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import type { IntegerRange } from '../tasks/ranges.ts';
import { drawByDepth, type KnownSentences, shareEqually } from './distinct-examples.ts';
import { type Classification, type ClassificationSet, classificationSet } from './example-sets.ts';
import { SENTENCE_TOKENS, type SentenceVocabulary, sentenceVocabulary } from './sentences.ts';

/** Options of {@link dependencyBalancedListOps}. */
export interface DependencyBalancedListOpsOptions extends TaskOptions {
  /** Dependency depths of `train` and `iid`. Default [2, 6]. */
  readonly depths?: IntegerRange;
  /** Dependency depths of `deeperValidation`. Default: 1 more than the largest of `depths`. */
  readonly deeperValidationDepths?: IntegerRange;
  /** Dependency depths of `deeper`. Default: 2 and 3 more. */
  readonly deeperDepths?: IntegerRange;
  /** Training lists. Default 1,000,000, which takes about a minute. */
  readonly trainExamples?: number;
  /** Examples of each other part. Default 1,000, which takes about a minute too, as the deepest lists are rare. */
  readonly evaluationExamples?: number;
  /** Most elements of a list; at least 2. Default 5. */
  readonly maxElements?: number;
  /** Probability that an element is a list. Default 0.3. */
  readonly nesting?: number;
  /** Largest size of an example, where a digit counts 1 and a list 3 more than its elements. Default 50. */
  readonly maxSize?: number;
  /** What lists are made with. Default all four, as in the paper. */
  readonly operators?: readonly ListOperator[];
  /** What sums are taken modulo, from 2 to 10; there are as many digits. Default 10, as in the paper. */
  readonly modulus?: number;
}

/** Operators of {@link dependencyBalancedListOps}: least, largest and median element, and the sum. */
export const LIST_OPERATORS = ['MIN', 'MAX', 'MED', 'SM'] as const;

/** One of {@link LIST_OPERATORS}. */
export type ListOperator = (typeof LIST_OPERATORS)[number];

/** Lists with the digits that they are equal to. */
export interface DependencyBalancedListOps {
  /** Words: `]`, the operators with their brackets, digits. */
  readonly vocabulary: SentenceVocabulary;
  /** Names of the classes: the digits. */
  readonly classes: readonly string[];
  /** The examples; their depth is the dependency depth. */
  readonly sets: Readonly<Record<'train' | 'iid' | 'deeperValidation' | 'deeper', ClassificationSet>>;
}

const CLOSE = SENTENCE_TOKENS.firstWord;
const FIRST_OPERATOR = CLOSE + 1;

/** What lists are made of. */
interface ListWords {
  readonly operators: readonly ListOperator[];
  readonly modulus: number;
  readonly maxElements: number;
}

/** A digit, or an operator with a list. */
interface Tree {
  readonly value: number;
  /** Dependency depth. */
  readonly depth: number;
  /** Lists within each other, 1 for a digit. */
  readonly nestingDepth: number;
  readonly operator?: number;
  readonly elements?: readonly Tree[];
}

/**
 * Generates the data set.
 *
 * - `train`, `iid`: as many lists of each dependency depth in `depths`.
 * - `deeperValidation`, `deeper`: as many of each of their larger dependency depths.
 *
 * Lists are random; one that is nested less deep than the least depth becomes an element, not the last, of a larger one,
 * again and again. No list is in two parts or twice in one. (The authors compare with no other part.)
 *
 * @throws RangeError if an option is out of range, or there are not enough different lists
 */
export function dependencyBalancedListOps({
  depths = [2, 6],
  deeperValidationDepths = [depths[1] + 1, depths[1] + 1],
  deeperDepths = [depths[1] + 2, depths[1] + 3],
  trainExamples = 1_000_000,
  evaluationExamples = 1000,
  maxElements = 5,
  nesting = 0.3,
  maxSize = 50,
  operators = LIST_OPERATORS,
  modulus = 10,
  seed = 0,
}: DependencyBalancedListOpsOptions = {}): DependencyBalancedListOps {
  const name = 'dependencyBalancedListOps';
  assertInteger(`${name}: depths[0]`, depths[0], 2);
  assertInteger(`${name}: depths[1]`, depths[1], depths[0], 16);
  for (const [option, [least, most]] of Object.entries({ deeperValidationDepths, deeperDepths })) {
    assertInteger(`${name}: ${option}[0]`, least, depths[1] + 1);
    assertInteger(`${name}: ${option}[1]`, most, least, 64);
    // Each list below the first has at least one element more and three for itself.
    assertInteger(`${name}: maxSize`, maxSize, 4 * most - 3);
  }
  assertInteger(`${name}: trainExamples`, trainExamples, 0);
  assertInteger(`${name}: evaluationExamples`, evaluationExamples, 0);
  assertInteger(`${name}: maxElements`, maxElements, 2);
  assertInteger(`${name}: modulus`, modulus, 2, 10);
  if (
    operators.length === 0 ||
    operators.some((operator, i) => !(operator in outcomes) || i > operators.indexOf(operator))
  ) {
    const given = operators.join(', ') || 'none';
    throw new RangeError(`${name}: operators must be one or more of ${LIST_OPERATORS.join(', ')}, but are ${given}.`);
  }
  if (!(nesting > 0 && nesting < 1)) {
    throw new RangeError(`${name}: nesting must be more than 0 and less than 1, but is ${nesting}.`);
  }

  const words: ListWords = { operators, modulus, maxElements };
  const known: KnownSentences = new Set();
  const draw = (part: string, count: number, range: IntegerRange): ClassificationSet => {
    const random = createRandom(seed, 'dependency-balanced-list-ops', part);
    const drawDraft = () => drawTree(range, words, nesting, maxSize, random);
    const spellTree = (tree: Tree) => spell(tree, FIRST_OPERATOR + operators.length);
    return classificationSet(drawByDepth(`${name}: ${part}`, shareEqually(count, range), known, drawDraft, spellTree));
  };
  const iid = draw('iid', evaluationExamples, depths);
  const deeperValidation = draw('deeper validation', evaluationExamples, deeperValidationDepths);
  const deeper = draw('deeper', evaluationExamples, deeperDepths);
  const digits = Array.from({ length: modulus }, (_, digit) => String(digit));
  return {
    vocabulary: sentenceVocabulary([']', ...operators.map((operator) => `[${operator}`), ...digits]),
    classes: digits,
    sets: { train: draw('train', trainExamples, depths), iid, deeperValidation, deeper },
  };
}

/** A random list; `undefined` if it gets larger than `maxSize`. */
function drawTree(
  [least, most]: IntegerRange,
  words: ListWords,
  nesting: number,
  maxSize: number,
  random: Random,
): Tree | undefined {
  // What may still be added. Once it is negative nothing more is drawn, as most deep lists get too large.
  let room = maxSize;
  const drawList = (levels: number, mostElements: number, inner?: Tree): Tree => {
    room -= 3;
    const elements = Array.from({ length: 2 + random.integer(Math.max(1, mostElements - 1)) }, () => draw(levels - 1));
    if (inner !== undefined) elements.splice(random.integer(elements.length), 0, inner);
    return evaluate(random.integer(words.operators.length), elements, words);
  };
  const draw = (levels: number): Tree => {
    if (room > 0 && levels > 1 && random.chance(nesting)) return drawList(levels, words.maxElements);
    room--;
    return room < 0 ? NOTHING : { value: random.integer(words.modulus), depth: 1, nestingDepth: 1 };
  };
  let tree = draw(most);
  while (tree.nestingDepth < least && room >= 0) tree = drawList(most, words.maxElements - 1, tree);
  return room >= 0 ? tree : undefined;
}

const NOTHING: Tree = { value: 0, depth: 1, nestingDepth: 1 };

/** The list of an operator, by its place among those there are, and its elements. */
function evaluate(operator: number, elements: readonly Tree[], { operators, modulus }: ListWords): Tree {
  const { value, depth } = outcomes[operators[operator] as ListOperator](elements, modulus);
  return {
    value,
    depth: depth + 1,
    nestingDepth: Math.max(...elements.map((element) => element.nestingDepth)) + 1,
    operator,
    elements,
  };
}

/** Value of a list, and the largest dependency depth of the elements that it is made of. */
type Outcome = Pick<Tree, 'value' | 'depth'>;

const outcomes: Readonly<Record<ListOperator, (elements: readonly Tree[], modulus: number) => Outcome>> = {
  MIN: (elements) => elements.reduce((least, element) => (element.value < least.value ? element : least)),
  MAX: (elements) => elements.reduce((most, element) => (element.value > most.value ? element : most)),
  MED: (elements) => {
    const sorted = elements.toSorted((a, b) => a.value - b.value);
    const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]] as [Tree, Tree];
    return { value: (low.value + high.value) >> 1, depth: Math.max(low.depth, high.depth) };
  },
  SM: (elements, modulus) => ({
    value: elements.reduce((sum, { value }) => sum + value, 0) % modulus,
    depth: Math.max(...elements.map(({ depth }) => depth)),
  }),
};

function spell(tree: Tree, firstDigit: number): Tree & Classification {
  const input: number[] = [];
  const append = ({ value, operator, elements }: Tree): void => {
    if (operator === undefined || elements === undefined) {
      input.push(firstDigit + value);
      return;
    }
    input.push(FIRST_OPERATOR + operator);
    elements.forEach(append);
    input.push(CLOSE);
  };
  append(tree);
  return { ...tree, input, target: tree.value };
}
