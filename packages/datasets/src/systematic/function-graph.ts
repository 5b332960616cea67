/**
 * Which function may follow which: a graph of groups of functions, walks through which are compositions. Edges may be
 * restricted to some values of what the function is applied to.
 */

import type { Random } from '../random.ts';
import { integersBetween } from './distinct-examples.ts';

/** A graph of groups; `out` of an edge is the end of the composition. */
export interface GroupGraph {
  /** Groups a composition may begin with. */
  readonly first: readonly string[];
  /** Groups that may follow each group. */
  readonly next: Readonly<Record<string, readonly string[]>>;
  /** Groups a composition may end with. */
  readonly last: readonly string[];
  /** Single functions that may follow a group when the value so far is one of `symbols`. */
  readonly restricted?: readonly RestrictedEdge[];
}

/** An edge to a function that is there for some values only. */
export interface RestrictedEdge {
  readonly from: string;
  readonly function: number;
  readonly symbols: ReadonlySet<number>;
}

/** Compositions that a graph allows. */
export interface Walks {
  /** Number of pairs of a symbol and `depth` functions. */
  count(depth: number): number;
  /** A random symbol and functions; `undefined` if the walk came to a dead end. Each step is uniform among the allowed. */
  draw(depth: number, random: Random): { symbol: number; functions: number[] } | undefined;
  /** All pairs of a symbol and `depth` functions. */
  all(depth: number): Generator<{ symbol: number; functions: number[] }, void>;
}

/** The walks of a graph. */
export function walks(
  graph: GroupGraph,
  groups: Readonly<Record<string, readonly number[]>>,
  tables: readonly Int32Array[],
): Walks {
  const symbols = tables[0]?.length as number;
  const functionsOf = (names: readonly string[]) => names.flatMap((name) => groups[name] ?? []);
  const first = functionsOf(graph.first);
  const groupOf = new Map(Object.entries(groups).flatMap(([name, members]) => members.map((f) => [f, name] as const)));
  const mayEnd = tables.map((_, f) => graph.last.includes(groupOf.get(f) as string));
  // By function and its value: what may be applied to that value.
  const following = tables.map((_, f) => {
    const group = groupOf.get(f) as string;
    const always = functionsOf(graph.next[group] ?? []);
    const restricted = (graph.restricted ?? []).filter(({ from }) => from === group);
    return integersBetween([0, symbols - 1]).map((value) => [
      ...always,
      ...restricted.filter((edge) => edge.symbols.has(value)).map((edge) => edge.function),
    ]);
  });
  const choices = (functions: readonly number[], value: number) =>
    functions.length === 0 ? first : (following[functions.at(-1) as number]?.[value] as number[]);
  const apply = (f: number, x: number) => tables[f]?.[x] as number;

  const count = (depth: number): number => {
    // ways[f][value]: compositions so far that end with function f and this value.
    let ways = tables.map(() => new Float64Array(symbols));
    for (const f of first) (ways[f] as Float64Array).fill(1);
    for (let step = 1; step < depth; step++) {
      const longer = tables.map(() => new Float64Array(symbols));
      const add = (sums: Float64Array, value: number, number: number) => {
        sums[value] = (sums[value] as number) + number;
      };
      ways.forEach((byValue, f) => {
        byValue.forEach((number, value) => {
          for (const g of following[f]?.[value] ?? []) add(longer[g] as Float64Array, apply(g, value), number);
        });
      });
      ways = longer;
    }
    return ways.reduce((sum, byValue, f) => (mayEnd[f] ? byValue.reduce((a, b) => a + b, sum) : sum), 0);
  };

  const draw = (depth: number, random: Random) => {
    const symbol = random.integer(symbols);
    const functions: number[] = [];
    let value = symbol;
    while (functions.length < depth) {
      const allowed = choices(functions, value);
      if (allowed.length === 0) return undefined;
      const f = random.choice(allowed);
      functions.push(f);
      value = apply(f, value);
    }
    return mayEnd[functions.at(-1) as number] ? { symbol, functions } : undefined;
  };

  function* extend(
    symbol: number,
    value: number,
    functions: readonly number[],
    depth: number,
  ): ReturnType<Walks['all']> {
    if (functions.length === depth) {
      if (mayEnd[functions.at(-1) as number]) yield { symbol, functions: [...functions] };
      return;
    }
    for (const f of choices(functions, value)) yield* extend(symbol, apply(f, value), [...functions, f], depth);
  }
  function* all(depth: number): ReturnType<Walks['all']> {
    for (let symbol = 0; symbol < symbols; symbol++) yield* extend(symbol, symbol, [], depth);
  }
  return { count, draw, all };
}
