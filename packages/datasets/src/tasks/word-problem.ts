/**
 * The word problem of a group: elements are multiplied one after the other, the target is the product so far.
 *
 *     g₁ g₂ g₃ …   →   g₁, g₁g₂, g₁g₂g₃, …
 *
 * With permutations (S3, S5) an element is an action on items, the product the order in which they are then: what is
 * tracked is new[j] = old[g[j]] (Li, Guo, Andreas, "(How) Do Language Models Track State?" 2025; Yau et al.,
 * "Sequential-Parallel Duality in Prefix-Scannable Models" 2025). How hard a group is depends on its structure, not its
 * size: Z60 is commutative, A4xZ5 is not but solvable, A5 is not solvable; each has 60 elements (Merrill, Petty, Sabharwal,
 * "The Illusion of State in State-Space Models" 2024). Z2 is parity.
 */

import { mapSplits, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';
import { group as groupOf } from './groups.ts';
import { drawBetween, type IntegerRange, rangesBySplit } from './ranges.ts';

/** Options of {@link wordProblem}. */
export interface WordProblemOptions extends TaskOptions {
  /**
   * `S<n>` (permutations), `A<n>` (even permutations), `Z<n>` (addition modulo n) or products of them such as `A4xZ5`, with
   * at most 1024 elements. Default `'S5'`.
   */
  readonly group?: string;
  /** Elements of a training sequence. Default [4, 18]. */
  readonly trainElements?: IntegerRange;
  /** Elements of a validation or test sequence. Default [180, 180]. */
  readonly evaluationElements?: IntegerRange;
  /** Whether the target counts at every element or only at the last. Default `'every'`. */
  readonly supervision?: 'every' | 'last';
}

/**
 * Products of random elements of a group. Tokens: 0 padding, 1 + g for element g; the target is the number of the product.
 * Element 0 is the identity, permutations are in lexicographic order: of S3, element 1 is 0 2 1.
 *
 * @throws RangeError if the group or a range is none
 */
export function wordProblem({
  group = 'S5',
  trainElements = [4, 18],
  evaluationElements = [180, 180],
  supervision = 'every',
  seed = 0,
}: WordProblemOptions = {}): TokenTask {
  const { order, product } = groupOf(group);
  const elements = rangesBySplit('wordProblem', { trainElements, evaluationElements }, 1);
  const lengths = mapSplits(elements, ([, most]) => most);
  const description = { name: `word-problem-${group}`, vocabularySize: 1 + order, targetCount: order, lengths };
  return tokenTask(description, seed, (row, random, split) => {
    const count = drawBetween(elements[split], random);
    let state = 0;
    for (let i = 0; i < count; i++) {
      const element = random.integer(order);
      state = product[state * order + element] as number;
      row.inputs[i] = 1 + element;
      if (supervision === 'last' && i < count - 1) continue;
      row.targets[i] = state;
      row.mask[i] = 1;
    }
  });
}
