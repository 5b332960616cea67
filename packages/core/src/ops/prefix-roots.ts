/**
 * The online binary counter: prefixes of a stream under any binary function ⊕, associative or not, with the bracketing of a
 * Blelloch tree (Yau et al., "Sequential-Parallel Duality in Prefix-Scannable Models", 2025, algorithm 2).
 *
 * Of t elements the counter keeps one *root* for each bit of t that is 1: the value of a full subtree of 2^level elements. A new
 * element is carried like a 1 that is added to a binary number:
 *
 *     v = x_t;   while the lowest root has v's level: v = root ⊕ v        (one level higher each time)
 *
 * The prefix of all elements folds the roots from the highest to the lowest,
 *
 *     P(7) = (r₂ ⊕ r₁) ⊕ r₀ = (((x₀⊕x₁)⊕(x₂⊕x₃)) ⊕ (x₄⊕x₅)) ⊕ x₆
 *
 * Each root remembers the fold down to itself, so that an element costs its carries, less than one ⊕ on average, and one more.
 */

import { assertCount } from '../shape-checks.ts';

/** A binary function; the operand that comes first in time is on the left. */
export type Combine<Element> = (earlier: Element, later: Element) => Element;

/** A full subtree that still lives: no later element has been merged with it. */
export type PrefixRoot<Element> = {
  /** It stands for 2^level elements. */
  level: number;
  /** Value of the subtree. */
  value: Element;
  /** Prefix of all elements up to the end of this subtree. */
  fold: Element;
};

/** Live roots from the highest to the lowest: all that a stream has to remember. */
export type PrefixRoots<Element> = PrefixRoot<Element>[];

/**
 * Adds an element to a stream.
 *
 * @param combine the binary function; it need not be associative
 * @param roots of the elements so far; the list is left as it is, and the new one shares its elements
 * @param element the next one
 * @returns the roots behind it
 */
export function insertElement<Element>(
  combine: Combine<Element>,
  roots: readonly PrefixRoot<Element>[],
  element: Element,
): PrefixRoots<Element> {
  const next = [...roots];
  let [level, value] = [0, element];
  for (let lowest = next.at(-1); lowest?.level === level; lowest = next.at(-1)) {
    value = combine(lowest.value, value);
    level += 1;
    next.pop();
  }
  const before = next.at(-1);
  next.push({
    level,
    value,
    fold: before === undefined ? value : combine(before.fold, value),
  });
  return next;
}

/** The prefix of all elements of a stream; `undefined` if there are none. */
export function prefixOf<Element>(roots: readonly PrefixRoot<Element>[]): Element | undefined {
  return roots.at(-1)?.fold;
}

/** How many elements a stream has had: a sum of powers of two, one for each root. */
export function elementCount(roots: readonly PrefixRoot<unknown>[]): number {
  return roots.reduce((sum, { level }) => sum + 2 ** level, 0);
}

/** Levels of the roots of `count` elements, from the highest to the lowest: the bits of `count` that are 1. */
export function rootLevels(count: number): number[] {
  assertCount('rootLevels: count', count, 0);
  const levels: number[] = [];
  for (let [level, rest] = [0, count]; rest > 0; level++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) levels.unshift(level);
  }
  return levels;
}
