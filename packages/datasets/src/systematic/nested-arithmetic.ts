/**
 * Nested arithmetic: expressions of digits, + and *, with all brackets; the class is the value modulo 10, or modulo a smaller
 * number of digits.
 *
 *     ( ( 4 * 7 ) + 2 )   →   0
 *
 * Training has shallow expressions, tests have deeper ones. A digit has depth 1.
 *
 * As in Csordás, Irie, Schmidhuber, "The Neural Data Router: Adaptive Control Flow in Transformers Improves Systematic
 * Generalization" (ICLR 2022), "simple arithmetic".
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import type { IntegerRange } from '../tasks/ranges.ts';
import { drawByDepth, type KnownSentences, shareEqually, takeSentence } from './distinct-examples.ts';
import { type Classification, type ClassificationSet, classificationSet } from './example-sets.ts';
import { SENTENCE_TOKENS, type SentenceVocabulary, sentenceVocabulary } from './sentences.ts';

/** Options of {@link nestedArithmetic}. */
export interface NestedArithmeticOptions extends TaskOptions {
  /** Deepest training expression; at least 3. Default 6. */
  readonly maxDepth?: number;
  /** Depths of `deeperValidation`. Default `maxDepth` + [1, 1]. */
  readonly deeperValidationDepths?: IntegerRange;
  /** Depths of `deeper`. Default `maxDepth` + [2, 3]. */
  readonly deeperDepths?: IntegerRange;
  /** Training expressions, besides those of two digits. Default 100,000. */
  readonly trainExamples?: number;
  /** Examples of each other part. Default 1,000. */
  readonly evaluationExamples?: number;
  /** Most tokens of an expression, without start and end. Default 50. */
  readonly maxLength?: number;
  /** Probability that an operand is an expression, in training and in evaluation of greater depth. Default 0.2 and 0.3. */
  readonly nesting?: { readonly train: number; readonly deeper: number };
  /** What values are taken modulo, from 2 to 10; there are as many digits. Default 10, as in the paper. */
  readonly modulus?: number;
}

/** Expressions with the digits that they are equal to. */
export interface NestedArithmetic {
  /** Words: brackets, operators, digits. */
  readonly vocabulary: SentenceVocabulary;
  /** Names of the classes: the digits. */
  readonly classes: readonly string[];
  /** The examples; their depth is that of the expression. */
  readonly sets: Readonly<Record<'train' | 'iid' | 'deeperValidation' | 'deeper', ClassificationSet>>;
}

const WORDS = ['(', ')', '+', '*'];
const [OPEN, CLOSE, PLUS, TIMES] = WORDS.map((_, i) => SENTENCE_TOKENS.firstWord + i) as [
  number,
  number,
  number,
  number,
];
const FIRST_DIGIT = SENTENCE_TOKENS.firstWord + WORDS.length;

/** A digit, or an operator with two expressions. */
interface Expression {
  readonly value: number;
  readonly depth: number;
  /** Number of tokens. */
  readonly length: number;
  readonly operator?: number;
  readonly operands?: readonly [Expression, Expression];
}

/**
 * Generates the data set.
 *
 * - `train`: all expressions of two digits (200 with ten digits), and as many expressions of each depth from 3 to `maxDepth`.
 * - `iid`: more like the latter.
 * - `deeperValidation`, `deeper`: expressions that are nested deeper, as many of each depth.
 *
 * An operand is an expression with a certain probability. What is less deep than it should be becomes the right operand of a
 * larger expression, again and again: deep expressions lean to the right. No expression is in two parts or twice in one.
 *
 * @throws RangeError if an option is out of range, or there are not enough different expressions
 */
export function nestedArithmetic({
  maxDepth = 6,
  deeperValidationDepths = [maxDepth + 1, maxDepth + 1],
  deeperDepths = [maxDepth + 2, maxDepth + 3],
  trainExamples = 100_000,
  evaluationExamples = 1000,
  maxLength = 50,
  nesting = { train: 0.2, deeper: 0.3 },
  modulus = 10,
  seed = 0,
}: NestedArithmeticOptions = {}): NestedArithmetic {
  const name = 'nestedArithmetic';
  assertInteger(`${name}: maxDepth`, maxDepth, 3, 12);
  for (const [option, [least, most]] of Object.entries({ deeperValidationDepths, deeperDepths })) {
    assertInteger(`${name}: ${option}[0]`, least, maxDepth + 1);
    assertInteger(`${name}: ${option}[1]`, most, least, 64);
    // Each level below the first has at least four tokens more.
    assertInteger(`${name}: maxLength`, maxLength, 4 * most - 3);
  }
  assertInteger(`${name}: trainExamples`, trainExamples, 0);
  assertInteger(`${name}: evaluationExamples`, evaluationExamples, 0);
  assertInteger(`${name}: modulus`, modulus, 2, 10);
  for (const [option, probability] of Object.entries(nesting)) {
    if (probability > 0 && probability < 1) continue;
    throw new RangeError(`${name}: nesting.${option} must be more than 0 and less than 1, but is ${probability}.`);
  }

  const digits = Array.from({ length: modulus }, (_, digit) => String(digit));
  const pairs = [PLUS, TIMES].flatMap((operator) =>
    digits.flatMap((_, a) => digits.map((_, b) => combine(operator, digit(a), digit(b), modulus))),
  );
  const facts = pairs.map(spell);
  const known: KnownSentences = new Set();
  for (const { input } of facts) takeSentence(known, input);
  const draw = (part: string, count: number, depths: IntegerRange, probability: number): Classification[] => {
    const random = createRandom(seed, 'nested-arithmetic', part);
    const drawDraft = () => {
      const drawn = drawExpression(depths, probability, modulus, random);
      return drawn.length <= maxLength ? drawn : undefined;
    };
    return [...drawByDepth(`${name}: ${part}`, shareEqually(count, depths), known, drawDraft, spell)];
  };
  const short: IntegerRange = [3, maxDepth];
  const iid = draw('iid', evaluationExamples, short, nesting.train);
  const train = draw('train', trainExamples, short, nesting.train);
  return {
    vocabulary: sentenceVocabulary([...WORDS, ...digits]),
    classes: digits,
    sets: {
      train: classificationSet([...facts, ...train]),
      iid: classificationSet(iid),
      deeperValidation: classificationSet(
        draw('deeper validation', evaluationExamples, deeperValidationDepths, nesting.deeper),
      ),
      deeper: classificationSet(draw('deeper', evaluationExamples, deeperDepths, nesting.deeper)),
    },
  };
}

function digit(value: number): Expression {
  return { value, depth: 1, length: 1 };
}

function combine(operator: number, a: Expression, b: Expression, modulus: number): Expression {
  return {
    value: (operator === PLUS ? a.value + b.value : a.value * b.value) % modulus,
    depth: Math.max(a.depth, b.depth) + 1,
    length: a.length + b.length + 3,
    operator,
    operands: [a, b],
  };
}

function drawExpression([least, most]: IntegerRange, probability: number, modulus: number, random: Random): Expression {
  const operator = () => random.choice([PLUS, TIMES]);
  const draw = (level: number): Expression => {
    if (level >= most || !random.chance(probability)) return digit(random.integer(modulus));
    const [a, b] = [draw(level + 1), draw(level + 1)];
    return combine(operator(), a, b, modulus);
  };
  let expression = draw(1);
  while (expression.depth < least) {
    const left = draw(2);
    expression = combine(operator(), left, expression, modulus);
  }
  return expression;
}

function spell(expression: Expression): Expression & Classification {
  const input: number[] = [];
  const append = ({ value, operator, operands }: Expression): void => {
    if (operator === undefined || operands === undefined) {
      input.push(FIRST_DIGIT + value);
      return;
    }
    input.push(OPEN);
    append(operands[0]);
    input.push(operator);
    append(operands[1]);
    input.push(CLOSE);
  };
  append(expression);
  return { ...expression, input, target: expression.value };
}
