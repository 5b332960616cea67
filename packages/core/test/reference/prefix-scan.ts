/** Float64 references of prefixes: the static tree as it is written down in the paper, and linear recurrences step by step. */

/** A value or, where a tree was padded or nothing came before, a dummy, which leaves the other operand as it is. */
type Node<T> = T | undefined;

/**
 * Exclusive prefixes by the padded tree of the paper (Yau et al., 2025, algorithm 1): an up-sweep over 2^⌈log₂ n⌉ places, then the
 * prefix in front of every node handed down, on the left to the left child, merged with the left child to the right one.
 */
export function exclusivePrefixes<T>(elements: readonly T[], combine: (earlier: T, later: T) => T): Node<T>[] {
  const merge = (a: Node<T>, b: Node<T>) => (a === undefined ? b : b === undefined ? a : combine(a, b));
  const places = 2 ** Math.ceil(Math.log2(Math.max(1, elements.length)));
  const levels: Node<T>[][] = [Array.from({ length: places }, (_, i) => elements[i])];
  while (levels.at(-1)!.length > 1) {
    const below = levels.at(-1)!;
    levels.push(Array.from({ length: below.length / 2 }, (_, m) => merge(below[2 * m], below[2 * m + 1])));
  }
  let prefixes: Node<T>[] = [undefined];
  for (const nodes of levels.slice(0, -1).reverse()) {
    prefixes = nodes.map((_, m) => {
      const before = prefixes[Math.floor(m / 2)];
      return m % 2 === 0 ? before : merge(before, nodes[m - 1]);
    });
  }
  return prefixes.slice(0, elements.length);
}

/** Inclusive prefixes: what would stand before one element more. */
export function inclusivePrefixes<T>(elements: readonly T[], combine: (earlier: T, later: T) => T): T[] {
  const more = exclusivePrefixes([...elements, elements[0] as T], combine);
  return more.slice(1) as T[];
}

export type AffineKind = 'elementwise' | 'scalar' | 'diagonal' | 'matrix';
export type AffineSizes = Record<'batch' | 'time' | 'rows' | 'columns', number>;

/** s_t = s_{t-1} ▷ E_t + f_t for every batch row: all states and the last. */
export function affineScanReference(
  kind: AffineKind,
  {
    transition,
    input,
    initialState,
    reset,
  }: Record<'transition' | 'input', Float64Array> & {
    initialState?: Float64Array;
    reset?: readonly number[];
  },
  { batch, time, rows, columns }: AffineSizes,
): Float64Array[] {
  const states = new Float64Array(batch * time * rows * columns);
  const finals = new Float64Array(batch * rows * columns);
  for (let b = 0; b < batch; b++) {
    let s = Float64Array.from({ length: rows * columns }, (_, i) => initialState?.[b * rows * columns + i] ?? 0);
    for (let t = 0; t < time; t++) {
      const at = b * time + t;
      if (reset?.[at]) s.fill(0);
      const next = new Float64Array(rows * columns);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          const i = r * columns + c;
          let carried = 0;
          if (kind === 'matrix') {
            for (let k = 0; k < columns; k++)
              carried += s[r * columns + k]! * transition[(at * columns + k) * columns + c]!;
          } else if (kind === 'scalar') carried = s[i]! * transition[at]!;
          else if (kind === 'diagonal') carried = s[i]! * transition[at * columns + c]!;
          else carried = s[i]! * transition[at * rows * columns + i]!;
          next[i] = carried + input[at * rows * columns + i]!;
        }
      }
      s = next;
      states.set(s, at * rows * columns);
    }
    finals.set(s, b * rows * columns);
  }
  return [states, finals];
}

/** One element of the affine monoid with matrices: s ↦ s E + f. */
export interface AffinePair {
  /** [columns][columns] */
  readonly transition: readonly (readonly number[])[];
  /** [rows][columns] */
  readonly input: readonly (readonly number[])[];
}

/** (E₁, f₁) ⊕ (E₂, f₂) = (E₁E₂, f₁E₂ + f₂). */
export function combineAffine(earlier: AffinePair, later: AffinePair): AffinePair {
  const carried = product(earlier.input, later.transition);
  return {
    transition: product(earlier.transition, later.transition),
    input: carried.map((row, r) => row.map((x, c) => x + later.input[r]![c]!)),
  };
}

function product(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[][] {
  return a.map((row) => b[0]!.map((_, c) => row.reduce((sum, x, k) => sum + x * b[k]![c]!, 0)));
}
