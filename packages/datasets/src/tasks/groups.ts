/**
 * Finite groups by name, as multiplication tables.
 *
 *     S5      all permutations of 5 items: 120
 *     A5      the even ones: 60
 *     Z60     addition modulo 60
 *     A4xZ5   pairs, the first of A4, the second of Z5: 60
 *
 * Elements are numbers from 0, the identity. Permutations are numbered in lexicographic order, of a pair the first counts
 * most.
 */

/** A finite group with elements 0 … order − 1. */
export interface Group {
  /** Number of elements. */
  readonly order: number;
  /** `[order, order]`: product[a · order + b] is first a, then b; of permutations (ab)[j] = a[b[j]]. */
  readonly product: Int32Array;
}

/** Largest order: the table has its square of numbers. */
const MOST_ELEMENTS = 1024;

/**
 * The group of a name: `S<n>`, `A<n>`, `Z<n>`, or several of them with an x between.
 *
 * @throws RangeError if the name is none, or the group has more than 1024 elements
 */
export function group(name: string): Group {
  return name.split('x').map(factorOf).reduce(direct);

  function factorOf(factor: string): Group {
    const [, kind, digits] = /^([SAZ])([1-9]\d*)$/.exec(factor) ?? [];
    if (kind === undefined) {
      throw new RangeError(`group: ${JSON.stringify(name)} is none; use S3, A5, Z60, A4xZ5 or the like.`);
    }
    const n = Number(digits);
    if ((kind === 'Z' ? n : factorial(n) / (kind === 'A' ? 2 : 1)) > MOST_ELEMENTS) throw tooLarge(name);
    return kind === 'Z' ? cyclic(n) : ofPermutations(kind === 'S' ? permutations(n) : permutations(n).filter(isEven));
  }

  function direct(first: Group, second: Group): Group {
    const order = first.order * second.order;
    if (order > MOST_ELEMENTS) throw tooLarge(name);
    return table(order, (a, b) => {
      const [a1, a2] = [Math.floor(a / second.order), a % second.order];
      const [b1, b2] = [Math.floor(b / second.order), b % second.order];
      const one = first.product[a1 * first.order + b1] as number;
      return one * second.order + (second.product[a2 * second.order + b2] as number);
    });
  }
}

function cyclic(order: number): Group {
  return table(order, (a, b) => (a + b) % order);
}

function ofPermutations(elements: readonly (readonly number[])[]): Group {
  const numbers = new Map(elements.map((element, number) => [element.join(), number]));
  return table(elements.length, (a, b) => {
    const [before, after] = [elements[a] as readonly number[], elements[b] as readonly number[]];
    return numbers.get(after.map((item) => before[item]).join()) as number;
  });
}

function table(order: number, multiply: (a: number, b: number) => number): Group {
  const product = Int32Array.from({ length: order * order }, (_, i) => multiply(Math.floor(i / order), i % order));
  return { order, product };
}

/** The permutations of 0 … n − 1 in lexicographic order. */
function permutations(n: number): number[][] {
  const extend = (begun: number[]): number[][] =>
    begun.length === n
      ? [begun]
      : Array.from({ length: n }, (_, item) => item)
          .filter((item) => !begun.includes(item))
          .flatMap((item) => extend([...begun, item]));
  return extend([]);
}

function isEven(permutation: readonly number[]): boolean {
  const inversions = permutation.flatMap((a, i) => permutation.slice(i + 1).filter((b) => b < a));
  return inversions.length % 2 === 0;
}

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

function tooLarge(name: string): RangeError {
  return new RangeError(`group: ${name} has more than ${MOST_ELEMENTS} elements; choose a smaller one.`);
}
