/**
 * Matrices in the registers of a workgroup, for scans whose every step waits for what the last one gave: a matrix is read
 * and written at each step, and never leaves the processor in between.
 *
 * Invocation (a, b) of a matrix [rows, columns] has of its rows a, a + down, … the vectors of four columns b, b + across, …, each
 * in a register; what is beyond the matrix is 0. A product leaves partial sums in workgroup memory, those of the `across`
 * invocations of a row or of the `down` ones of a column, which whoever needs an element adds up, in order, behind a barrier.
 * Vectors are arrays in workgroup memory, as long as the matrix with what is beyond it, where they are 0.
 */

import { ACTIVATIONS, SUM_OF, unrolled, vectorsOf } from './wgsl.ts';

/** Most invocations of a workgroup: what every adapter has. */
const MAX_LANES = 256;

/** A number or a vector of four in WGSL, for a place that is an expression in WGSL as well. */
type Element = (place: string) => string;

/** A workgroup in which each invocation has a vector of the matrix, or more if it is large. */
export function lanesFor(rows: number, columns: number): number {
  return Math.min(MAX_LANES, Math.max(32, powerOfTwo(rows * vectorsOf(columns))));
}

/** A matrix; its methods give lines of WGSL. */
export class RegisterMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Elements of vectors along rows and along columns, with what is beyond the matrix. */
  readonly paddedRows: number;
  readonly paddedColumns: number;
  /** Registers of an invocation. */
  readonly vectors: number;
  readonly #name: string;
  readonly #lanes: number;
  readonly #across: number;
  readonly #down: number;
  readonly #tileRows: number;
  readonly #tileVectors: number;

  /**
   * @param name what its registers and functions begin with
   * @param rows its rows
   * @param columns its columns
   * @param lanes invocations of the workgroup, a power of two
   * @param products whether it is multiplied with columns only, or its transpose with rows, too
   */
  constructor(name: string, rows: number, columns: number, lanes: number, products: 'columns' | 'both' = 'columns') {
    this.#name = name;
    this.#lanes = lanes;
    this.rows = rows;
    this.columns = columns;
    const most = Math.min(lanes, powerOfTwo(vectorsOf(columns)));
    this.#across = products === 'both' ? balanced(rows, columns, lanes, most) : Math.min(4, most);
    this.#down = lanes / this.#across;
    this.#tileRows = Math.ceil(rows / this.#down);
    this.#tileVectors = Math.ceil(vectorsOf(columns) / this.#across);
    this.paddedRows = this.#down * this.#tileRows;
    this.paddedColumns = 4 * this.#across * this.#tileVectors;
    this.vectors = this.#tileRows * this.#tileVectors;
  }

  /** Partial sums that {@link multiply} leaves, and {@link multiplyTransposed}. */
  get rowSums(): number {
    return this.#across * this.paddedRows;
  }
  get columnSums(): number {
    return this.#down * this.paddedColumns;
  }

  /**
   * `fn <name>_<from>(base, row, column) -> vec4f`, outside of `main`: four elements of a row, zeros beyond the matrix.
   *
   * @param from the function's name
   * @param element the element of `row` and `column`, given these and `base`
   */
  reader(from: string, element: string): string {
    return `
fn ${this.#name}_${from}(base: u32, row: u32, first: u32) -> vec4f {
  var x = vec4f();
  for (var i = 0u; i < 4u && row < ${this.rows}u && first + i < ${this.columns}u; i++) {
    let column = first + i;
    x[i] = ${element};
  }
  return x;
}`;
  }

  /** `fn <name>_<to>(base, row, column, x: vec4f)`, outside of `main`: a statement for each of four elements, `x[i]`. */
  writer(to: string, statement: string): string {
    return `
fn ${this.#name}_${to}(base: u32, row: u32, first: u32, x: vec4f) {
  for (var i = 0u; i < 4u && row < ${this.rows}u && first + i < ${this.columns}u; i++) {
    let column = first + i;
    ${statement};
  }
}`;
  }

  /** The registers, with zeros. */
  declare(): string {
    return `  let ${this.#name}_row = lane / ${this.#across}u;
  let ${this.#name}_vector = lane % ${this.#across}u;
${this.#each(({ register }) => `  var ${register} = vec4f();`)}`;
  }

  /** Fills it by a function of {@link reader}. */
  load(from: string, base: string): string {
    return this.#each(
      ({ register, row, vector }) => `${register} = ${this.#name}_${from}(${base}, ${row}, 4u * (${vector}));`,
    );
  }

  /** Gives it to a function of {@link writer}. */
  store(to: string, base: string): string {
    return this.#each(
      ({ register, row, vector }) => `${this.#name}_${to}(${base}, ${row}, 4u * (${vector}), ${register});`,
    );
  }

  /** Keeps it in a tensor of vectors, as note `index`, for {@link recall} in the same workgroup; and back. */
  note(tensor: string, index: string): string {
    return this.#each(({ register, place }) => `${this.#noted(tensor, index, place)} = ${register};`);
  }
  recall(tensor: string, index: string): string {
    return this.#each(({ register, place }) => `${register} = ${this.#noted(tensor, index, place)};`);
  }
  /** Elements of a note. */
  get noteSize(): number {
    return 4 * this.vectors * this.#lanes;
  }

  /** M = 0. */
  clear(): string {
    return this.#each(({ register }) => `${register} = vec4f();`);
  }

  /** M += x yᵀ, x a number for a row, y four for a column and those behind it. */
  add(x: Element, y: Element): string {
    const name = this.#name;
    return `{
${unrolled(this.#tileVectors, (j) => `let y_${j} = ${y(`4u * (${name}_vector + ${j * this.#across}u)`)};`)}
${unrolled(
  this.#tileRows,
  (i) => `let x_${i} = vec4f(${x(`(${name}_row + ${i * this.#down}u)`)});
${unrolled(this.#tileVectors, (j) => `${name}_${i}_${j} = fma(x_${i}, y_${j}, ${name}_${i}_${j});`)}`,
)}
}`;
  }

  /** Partial sums of M p at `at` of `partials`. */
  multiply(p: string, at: number): string {
    const name = this.#name;
    return `{
${unrolled(this.#tileVectors, (j) => `let p_${j} = ${vectorAt(p)(`4u * (${name}_vector + ${j * this.#across}u)`)};`)}
${unrolled(
  this.#tileRows,
  (i) => `var sum_${i} = ${name}_${i}_0 * p_0;
${unrolled(this.#tileVectors - 1, (j) => `sum_${i} = fma(${name}_${i}_${j + 1}, p_${j + 1}, sum_${i});`)}
partials[${at}u + ${name}_vector * ${this.paddedRows}u + ${name}_row + ${i * this.#down}u] = sum_of(sum_${i});`,
)}
}`;
  }

  /** Partial sums of Mᵀ p at `at` of `partials`. */
  multiplyTransposed(p: string, at: number): string {
    const name = this.#name;
    return `{
${unrolled(this.#tileRows, (i) => `let p_${i} = vec4f(${p}[${name}_row + ${i * this.#down}u]);`)}
${unrolled(
  this.#tileVectors,
  (j) => `var sum_${j} = ${name}_0_${j} * p_0;
${unrolled(this.#tileRows - 1, (i) => `sum_${j} = fma(${name}_${i + 1}_${j}, p_${i + 1}, sum_${j});`)}
let to_${j} = ${at}u + ${name}_row * ${this.paddedColumns}u + 4u * (${name}_vector + ${j * this.#across}u);
${unrolled(4, (e) => `partials[to_${j} + ${e}u] = sum_${j}[${e}];`)}`,
)}
}`;
  }

  /** Element `i` of M p, whose partial sums are at `at`. */
  product(at: number, i: string): string {
    return `total(${at}u + ${i}, ${this.paddedRows}u, ${this.#across}u)`;
  }

  /** Element `i` of Mᵀ p. */
  transposedProduct(at: number, i: string): string {
    return `total(${at}u + ${i}, ${this.paddedColumns}u, ${this.#down}u)`;
  }

  #noted(tensor: string, index: string, place: number): string {
    return `${tensor}[((${index}) * ${this.vectors}u + ${place}u) * ${this.#lanes}u + lane]`;
  }

  #each(line: (of: { register: string; row: string; vector: string; place: number }) => string): string {
    return unrolled(this.vectors, (place) => {
      const [i, j] = [Math.floor(place / this.#tileVectors), place % this.#tileVectors];
      return line({
        register: `${this.#name}_${i}_${j}`,
        row: `${this.#name}_row + ${i * this.#down}u`,
        vector: `${this.#name}_vector + ${j * this.#across}u`,
        place,
      });
    });
  }
}

/** How many invocations share a row, so that neither direction has many partial sums. */
function balanced(rows: number, columns: number, lanes: number, most: number): number {
  let [best, least] = [1, Number.POSITIVE_INFINITY];
  for (let across = 1; across <= most; across *= 2) {
    const down = lanes / across;
    const partials = Math.max(across * roundUp(rows, down), down * roundUp(columns, 4 * across));
    if (partials < least) [best, least] = [across, partials];
  }
  return best;
}

function powerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

function roundUp(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}

/** Element of a vector in workgroup memory. */
export function elementOf(x: string): Element {
  return (i) => `${x}[${i}]`;
}

/** Four elements of a vector in workgroup memory. */
export function vectorAt(x: string): Element {
  return (i) => `vec4f(${unrolled(4, (e) => `${x}[${i} + ${e}u]`).replaceAll('\n', ', ')})`;
}

/** What kernels with such matrices declare: vectors of workgroup memory of given lengths, room for partial sums, and functions. */
export function workgroupVectors(vectors: Readonly<Record<string, number>>, partials: number): string {
  const arrays = Object.entries({ ...vectors, partials }).map(
    ([name, size]) => `var<workgroup> ${name}: array<f32, ${size}>;`,
  );
  return `${arrays.join('\n')}
${SUM_OF}
fn total(first: u32, stride: u32, count: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < count; i++) { sum += partials[first + i * stride]; }
  return sum;
}
${ACTIVATIONS}`;
}

/** Runs lines for `i` from 0 to `size`, shared by the invocations. */
export function shared(size: number, lanes: number, lines: string): string {
  return `for (var i = lane; i < ${size}u; i += ${lanes}u) {
${lines}
}`;
}

/** `let <name>`, the product of two vectors in workgroup memory, for every invocation. */
export function dot(name: string, x: string, y: string, size: number): string {
  return `var ${name} = 0.0;
for (var i = 0u; i < ${size}u; i++) { ${name} = fma(${x}[i], ${y}[i], ${name}); }`;
}

/**
 * Softmaxes of vectors in workgroup memory, each of `size`, in place; `exponentials` has as many vectors. Begins behind a barrier
 * and ends with one.
 */
export function softmaxes(
  vectors: readonly string[],
  exponentials: readonly string[],
  size: number,
  lanes: number,
): string {
  const of = (line: (x: string, e: string) => string) =>
    vectors.map((x, index) => line(x, exponentials[index] as string));
  return `{
${of((x) => `var most_${x} = ${x}[0];`).join('\n')}
for (var i = 1u; i < ${size}u; i++) { ${of((x) => `most_${x} = max(most_${x}, ${x}[i]);`).join(' ')} }
${shared(size, lanes, of((x, e) => `${e}[i] = exp(${x}[i] - most_${x});`).join('\n'))}
workgroupBarrier();
${of((x) => `var sum_${x} = 0.0;`).join('\n')}
for (var i = 0u; i < ${size}u; i++) { ${of((x, e) => `sum_${x} += ${e}[i];`).join(' ')} }
${shared(size, lanes, of((x, e) => `${x}[i] = ${e}[i] / sum_${x};`).join('\n'))}
workgroupBarrier();
}`;
}
