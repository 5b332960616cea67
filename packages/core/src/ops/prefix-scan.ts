/**
 * Prefixes of a sequence under any binary function ⊕, associative or not (Yau et al., "Sequential-Parallel Duality in
 * Prefix-Scannable Models", 2025, algorithm 1):
 *
 *     inclusive   y_t = P(t + 1) = x_0 ⊕ … ⊕ x_t        exclusive   y_t = P(t) = x_0 ⊕ … ⊕ x_{t−1},  P(0) = identity
 *
 * x, y [batch, length, …], or lists or records of such tensors. As ⊕ need not be associative, its bracketing is part of the
 * definition: that of a Blelloch tree. With T(j, m) the value of the m-th full subtree of 2^j elements and 2^j the lowest bit of t,
 *
 *     T(0, m) = x_m      T(j + 1, m) = T(j, 2m) ⊕ T(j, 2m + 1)         up-sweep
 *     P(t) = P(t − 2^j) ⊕ T(j, t / 2^j − 1),   or T alone if t = 2^j   down-sweep
 *
 * The identity is a dummy: it is never given to ⊕, and neither is padding, of which there is none. Three ways to compute it:
 *
 *     blelloch     all nodes of a level at once: 2 log₂ length calls of ⊕, on [batch · nodes, …]
 *     sequential   the same tree, node by node: up to 2 length calls of ⊕, on [batch, …]
 *     counter      element by element with log₂ length live roots, as a stream does (`prefix-roots.ts`)
 *
 * All three give ⊕ the same operands in the same order. Gradients go through the tree: each path has O(log length) applications.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertOneOf, assertTensor, formatShape } from '../shape-checks.ts';
import { inTidy } from './in-tidy.ts';
import { type Combine, insertElement, type PrefixRoots, rootLevels } from './prefix-roots.ts';

/** An element of a scan, or many along an axis: a tensor, or a list or record of tensors with that axis in common. */
export type PrefixElement = tf.Tensor | readonly tf.Tensor[] | { readonly [name: string]: tf.Tensor };

/** Ways to compute prefixes. */
export const PREFIX_SCAN_MODES = ['blelloch', 'sequential', 'counter'] as const;

/** Name of a way to compute prefixes. */
export type PrefixScanMode = (typeof PREFIX_SCAN_MODES)[number];

/** Options of {@link prefixScan}. */
export interface PrefixScanOptions<Element extends PrefixElement = PrefixElement> {
  /** Whether y_t leaves x_t out. Default `false`. */
  exclusive?: boolean | undefined;
  /** P(0), the first prefix of an exclusive scan, broadcastable to `[batch, …]`. Default: zeros. */
  identity?: Element | undefined;
  /** Default `'blelloch'`. */
  mode?: PrefixScanMode | undefined;
}

/** Options of {@link prefixScanWithState}. */
export interface PrefixScanStateOptions<Element extends PrefixElement = PrefixElement>
  extends PrefixScanOptions<Element> {
  /** Live roots of what came before; the scan then goes on element by element. Default: nothing came before. */
  initialState?: Readonly<PrefixRoots<Element>> | undefined;
}

/**
 * Prefixes of sequences.
 *
 * @param combine ⊕ on `[count, …]` pairs at once, row by row: rows of several sequences and nodes come together. It returns the
 *   shapes that it was given, and gets the earlier operand first
 * @param elements x, float32 `[batch, length, …]`
 * @param options inclusive or exclusive, identity, mode
 * @returns y, in the form of `elements`
 * @throws TypeError or RangeError if elements are no such tensors, or `combine` returns other shapes
 */
export function prefixScan<Element extends PrefixElement>(
  combine: Combine<Element>,
  elements: Element,
  options: PrefixScanOptions<Element> = {},
): Element {
  const scan = new Scan('prefixScan', combine, elements);
  const { exclusive = false, mode = 'blelloch' } = options;
  assertOneOf('prefixScan: mode', mode, PREFIX_SCAN_MODES);
  return inTidy(() => {
    const count = exclusive ? Math.max(0, scan.length - 1) : scan.length;
    const used = count === scan.length ? scan.tensors : slices(scan.tensors, 0, count);
    const prefixes =
      count === 0 ? used : mode === 'counter' ? scan.online(used, []).prefixes : scan.tree(used, mode).prefixes;
    return scan.pack(scan.own(exclusive ? scan.shifted(prefixes, options.identity) : prefixes));
  });
}

/**
 * {@link prefixScan}, and the live roots behind the last element, from which {@link insertElement} or another scan goes on.
 *
 * @param combine as for {@link prefixScan}
 * @param elements x, float32 `[batch, length, …]`
 * @param options those of {@link prefixScan}, and what came before
 * @returns y, and the roots, each of them `[batch, …]`
 */
export function prefixScanWithState<Element extends PrefixElement>(
  combine: Combine<Element>,
  elements: Element,
  options: PrefixScanStateOptions<Element> = {},
): { output: Element; finalState: PrefixRoots<Element> } {
  const scan = new Scan('prefixScanWithState', combine, elements);
  const { exclusive = false, mode = 'blelloch', initialState = [] } = options;
  assertOneOf('prefixScanWithState: mode', mode, PREFIX_SCAN_MODES);
  return inTidy(() => {
    const before = initialState.map(({ level, value, fold }) => ({
      level,
      value: tensorsOf(value).map((tensor) => tf.clone(tensor)),
      fold: tensorsOf(fold).map((tensor) => tf.clone(tensor)),
    }));
    const online = mode === 'counter' || before.length > 0;
    const { prefixes, roots } =
      scan.length === 0
        ? { prefixes: scan.tensors, roots: before }
        : online
          ? scan.online(scan.tensors, before)
          : scan.tree(scan.tensors, mode);
    const start = before.at(-1)?.fold;
    const shifted = () =>
      scan.shifted(
        slices(prefixes, 0, Math.max(0, scan.length - 1)),
        start === undefined ? options.identity : scan.pack(start),
      );
    const finalState = roots.map(({ level, value, fold }) => ({
      level,
      value: scan.pack(value),
      fold: scan.pack(fold),
    }));
    return { output: scan.pack(scan.own(exclusive ? shifted() : prefixes)), finalState };
  });
}

/** Tensors of an element, in a fixed order. */
type Parts = readonly tf.Tensor[];

/** A function and the sequences that it scans; inside, an element is a list of tensors. */
class Scan<Element extends PrefixElement> {
  readonly tensors: Parts;
  readonly batch: number;
  readonly length: number;
  readonly #combine: Combine<Element>;
  readonly #form: Element;
  readonly #name: string;

  constructor(name: string, combine: Combine<Element>, elements: Element) {
    this.#name = name;
    this.#combine = combine;
    this.#form = elements;
    if (typeof combine !== 'function') {
      throw new TypeError(`${name}: combine must be a function of two elements, but is ${typeof combine}.`);
    }
    this.tensors = tensorsOf(elements);
    if (this.tensors.length === 0) throw new RangeError(`${name}: elements must have at least one tensor.`);
    for (const tensor of this.tensors) {
      assertTensor(`${name}: elements`, tensor, 'float32');
      const [batch, length] = (this.tensors[0] as tf.Tensor).shape;
      if (tensor.rank < 2 || tensor.shape[0] !== batch || tensor.shape[1] !== length) {
        throw new RangeError(
          `${name}: elements must have shape [batch, length, …] with the same batch and length for all tensors, but have ` +
            `${this.tensors.map(({ shape }) => formatShape(shape)).join(' and ')}.`,
        );
      }
    }
    const [batch, length] = (this.tensors[0] as tf.Tensor).shape as [number, number];
    this.batch = batch;
    this.length = length;
  }

  /** P(1), P(2), … by levels, and the roots at the end. */
  tree(elements: Parts, mode: PrefixScanMode): { prefixes: Parts; roots: PrefixRoots<Parts> } {
    const levels: { nodes: Parts; even: Parts; odd: Parts }[] = [];
    for (let nodes = elements; ; ) {
      const [even, odd] = deinterleave(nodes);
      levels.push({ nodes, even, odd });
      const pairs = lengthOf(odd);
      if (pairs === 0) break;
      nodes = this.#level(slices(even, 0, pairs), odd, mode);
    }
    let prefixes = (levels.at(-1) as (typeof levels)[number]).nodes;
    for (const { even } of levels.slice(0, -1).reverse()) {
      // Of the places with this lowest bit, all but the first have something before them.
      const later = lengthOf(even) - 1;
      const first = slices(even, 0, 1);
      const rest = later === 0 ? [] : this.#level(slices(prefixes, 0, later), slices(even, 1, later), mode);
      prefixes = interleave(later === 0 ? first : joined(first, rest), prefixes);
    }
    let end = 0;
    const roots = rootLevels(lengthOf(elements)).map((level) => {
      end += 2 ** level;
      const { nodes } = levels[level] as (typeof levels)[number];
      return {
        level,
        value: at(nodes, end / 2 ** level - 1),
        fold: at(prefixes, end - 1),
      };
    });
    return { prefixes, roots };
  }

  /** P(1), P(2), … behind what came before, element by element. */
  online(elements: Parts, before: PrefixRoots<Parts>): { prefixes: Parts; roots: PrefixRoots<Parts> } {
    let roots = before;
    const folds: Parts[] = [];
    const one = (earlier: Parts, later: Parts) => this.#checked(earlier, later);
    for (let t = 0; t < lengthOf(elements); t++) {
      roots = insertElement(one, roots, at(elements, t));
      folds.push((roots.at(-1) as PrefixRoots<Parts>[number]).fold);
    }
    return { prefixes: stacked(folds), roots };
  }

  /** ⊕ on all pairs of a level, `[batch, nodes, …]`. */
  #level(earlier: Parts, later: Parts, mode: PrefixScanMode): Parts {
    const nodes = lengthOf(earlier);
    if (mode === 'sequential') {
      return stacked(Array.from({ length: nodes }, (_, m) => this.#checked(at(earlier, m), at(later, m))));
    }
    const flat = (parts: Parts) => parts.map((x) => tf.reshape(x, [this.batch * nodes, ...x.shape.slice(2)]));
    return this.#checked(flat(earlier), flat(later)).map((x) =>
      tf.reshape(x, [this.batch, nodes, ...x.shape.slice(1)]),
    );
  }

  #checked(earlier: Parts, later: Parts): Parts {
    const result = tensorsOf(this.#combine(this.pack(earlier), this.pack(later)));
    const fits = result.length === later.length && result.every((x, i) => sameShape(x, later[i] as tf.Tensor));
    if (fits) return result;
    const shapes = (parts: Parts) => parts.map((x) => formatShape(x?.shape ?? [])).join(' and ');
    throw new RangeError(
      `${this.#name}: combine must return what it was given, tensors of shape ${shapes(later)}, but returned ` +
        `${shapes(result) || 'none'}.`,
    );
  }

  /** Exclusive prefixes of inclusive ones, that of the last element left out. */
  shifted(prefixes: Parts, identity: Element | undefined): Parts {
    if (this.length === 0) return this.tensors;
    const given = identity === undefined ? undefined : tensorsOf(identity);
    if (given !== undefined && given.length !== this.tensors.length) {
      throw new RangeError(
        `${this.#name}: identity must have ${this.tensors.length} tensors, as elements do, but has ${given.length}.`,
      );
    }
    const first = this.tensors.map((x, i) => {
      const shape = [this.batch, 1, ...x.shape.slice(2)];
      const value = given?.[i];
      if (value === undefined) return tf.zeros(shape);
      assertTensor(`${this.#name}: identity`, value, 'float32');
      return tf.reshape(tf.broadcastTo(value, [this.batch, ...x.shape.slice(2)]), shape);
    });
    return this.length === 1 ? first : joined(first, prefixes);
  }

  /** Results that may be disposed without the elements: of a single element, the prefix is that element. */
  own(parts: Parts): Parts {
    return parts.map((x) => (this.tensors.includes(x) ? tf.clone(x) : x));
  }

  /** A list of tensors in the form of the elements. */
  pack(parts: Parts): Element {
    if (this.#form instanceof tf.Tensor) return parts[0] as Element;
    if (Array.isArray(this.#form)) return [...parts] as unknown as Element;
    return Object.fromEntries(Object.keys(this.#form).map((name, i) => [name, parts[i]])) as unknown as Element;
  }
}

function tensorsOf(element: PrefixElement): Parts {
  return element instanceof tf.Tensor ? [element] : (Object.values(element ?? {}) as tf.Tensor[]);
}

function sameShape(a: unknown, b: tf.Tensor): boolean {
  return a instanceof tf.Tensor && tf.util.arraysEqual(a.shape, b.shape);
}

function lengthOf(parts: Parts): number {
  return (parts[0] as tf.Tensor).shape[1] as number;
}

/** Places `begin` to `begin + count`, `[batch, count, …]`. */
function slices(parts: Parts, begin: number, count: number): Parts {
  return parts.map((x) => {
    if (count === x.shape[1]) return x;
    return tf.slice(x, [0, begin], [x.shape[0] as number, count]);
  });
}

/** Place `index`, `[batch, …]`. */
function at(parts: Parts, index: number): Parts {
  return slices(parts, index, 1).map((x) => tf.reshape(x, [x.shape[0] as number, ...x.shape.slice(2)]));
}

function joined(first: Parts, second: Parts): Parts {
  return first.map((x, i) => tf.concat([x, second[i] as tf.Tensor], 1));
}

function stacked(elements: readonly Parts[]): Parts {
  return (elements[0] as Parts).map((_, i) =>
    tf.stack(
      elements.map((parts) => parts[i] as tf.Tensor),
      1,
    ),
  );
}

/** Places 0, 2, 4, … and 1, 3, 5, …; of an odd number, one more of the first. */
function deinterleave(parts: Parts): [Parts, Parts] {
  const count = lengthOf(parts);
  if (count === 1) return [parts, slices(parts, 0, 0)];
  const pairs = Math.floor(count / 2);
  const halves = slices(parts, 0, 2 * pairs).map((x) => {
    return tf.unstack(tf.reshape(x, [x.shape[0] as number, pairs, 2, ...x.shape.slice(2)]), 2) as [
      tf.Tensor,
      tf.Tensor,
    ];
  });
  const even = halves.map(([first]) => first);
  const odd = halves.map(([, second]) => second);
  return [count % 2 === 0 ? even : joined(even, slices(parts, count - 1, 1)), odd];
}

/** The inverse of {@link deinterleave}. */
function interleave(even: Parts, odd: Parts): Parts {
  const pairs = lengthOf(odd);
  const pieces = slices(even, 0, pairs).map((x, i) => {
    return tf.reshape(tf.stack([x, odd[i] as tf.Tensor], 2), [x.shape[0] as number, 2 * pairs, ...x.shape.slice(2)]);
  });
  return lengthOf(even) === pairs ? pieces : joined(pieces, slices(even, pairs, 1));
}
