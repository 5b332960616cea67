/**
 * A tile of a matrix product, C = Lᵀ R with L [inner, 32] and R [inner, 32]: 64 invocations have 4 × 4 numbers each in registers, and
 * read 16 numbers of the inner extent at a time through workgroup memory.
 */

import { unrolled } from './wgsl.ts';

/** Rows and columns of a tile. */
export const TILE = 32;
/** Invocations of a workgroup. */
export const TILE_LANES = 64;
const STEP = 16;
const GROUPS = TILE / 4;

/** What is next to each other in memory along which extent: neighbouring invocations read neighbours. */
export type Along = 'inner' | 'outer';

/** Workgroup memory of {@link tileProduct}. */
export const TILE_MEMORY: string = `
var<workgroup> left_tile: array<vec4f, ${STEP * GROUPS}>;
var<workgroup> right_tile: array<vec4f, ${STEP * GROUPS}>;`;

/**
 * Code that leaves the product in the variables `c0` to `c3`: the invocation's four rows, of four columns each. It reads the operands
 * with the kernel's `fn left_of(inner: u32, outer: u32) -> f32` and `right_of`, which give 0 outside; `outer` counts from the
 * tile's edge.
 *
 * @param begin first number of the inner extent, an expression that is the same for all invocations
 * @param end one behind the last
 * @param left how the left operand lies in memory
 * @param right how the right one does
 * @param each code for every inner number, with `l` and `r`, four rows of the left and four columns of the right operand
 */
export function tileProduct(begin: string, end: string, left: Along, right: Along, each = ''): string {
  return `
  let tile_row = lane / ${GROUPS}u;
  let tile_column = lane % ${GROUPS}u;
${unrolled(4, (i) => `  var c${i} = vec4f();`)}
  for (var first = ${begin}; first < ${end}; first += ${STEP}u) {
    workgroupBarrier();
    ${fill('left', left, end)}
    ${fill('right', right, end)}
    workgroupBarrier();
    for (var inner = 0u; inner < ${STEP}u; inner++) {
      let l = left_tile[inner * ${GROUPS}u + tile_row];
      let r = right_tile[inner * ${GROUPS}u + tile_column];
${unrolled(4, (i) => `      c${i} = fma(vec4f(l[${i}]), r, c${i});`)}
      ${each}
    }
  }`;
}

function fill(side: 'left' | 'right', along: Along, end: string): string {
  const [inner, outer] = along === 'inner' ? [`i % ${STEP}u`, `i / ${STEP}u`] : [`i / ${GROUPS}u`, `i % ${GROUPS}u`];
  return `for (var i = lane; i < ${STEP * GROUPS}u; i += ${TILE_LANES}u) {
      let inner = first + ${inner};
      let outer = 4u * (${outer});
      var numbers = vec4f();
      if (inner < ${end}) {
        numbers = vec4f(${[0, 1, 2, 3].map((n) => `${side}_of(inner, outer + ${n}u)`).join(', ')});
      }
      ${side}_tile[(${inner}) * ${GROUPS}u + ${outer}] = numbers;
    }`;
}

/** Code that runs `store` for each of the invocation's numbers, with `row` and `column` in the tile and `value`. */
export function eachOfTile(store: string): string {
  return unrolled(
    4,
    (i) => `
  for (var n = 0u; n < 4u; n++) {
    let row = 4u * tile_row + ${i}u;
    let column = 4u * tile_column + n;
    let value = c${i}[n];
    ${store}
  }`,
  );
}

/** Module variables of {@link ownTile}. */
export const TILE_PLACE: string = `
var<private> first_row: u32;
var<private> first_column: u32;`;

/** Which tile, `first_row` and `first_column`, of which of `count` matrices [parameters.rows, parameters.columns] a workgroup has. */
export function ownTile(count: string): string {
  return `
  let row_tiles = (parameters.rows + ${TILE - 1}u) / ${TILE}u;
  let column_tiles = (parameters.columns + ${TILE - 1}u) / ${TILE}u;
  let index = group_index(group, groups);
  let matrix = index / (row_tiles * column_tiles);
  if (matrix >= ${count}) { return; }
  first_row = (index / column_tiles % row_tiles) * ${TILE}u;
  first_column = (index % column_tiles) * ${TILE}u;`;
}

/** Writes the tile of {@link ownTile} to a tensor [count, rows, columns]. */
export function storeTile(tensor: string): string {
  return eachOfTile(`if (first_row + row < parameters.rows && first_column + column < parameters.columns) {
      ${tensor}[(matrix * parameters.rows + first_row + row) * parameters.columns + first_column + column] = value;
    }`);
}
