/** Places on a grid, and going from one to the next. */

/** The actions of an agent that walks. */
export const ACTIONS: { readonly north: 0; readonly south: 1; readonly west: 2; readonly east: 3 } = {
  north: 0,
  south: 1,
  west: 2,
  east: 3,
};

/** A place on a grid. */
export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** The place that an action leads to if nothing is in the way. */
export function neighbour({ row, column }: Cell, action: number): Cell {
  if (action === ACTIONS.north) return { row: row - 1, column };
  if (action === ACTIONS.south) return { row: row + 1, column };
  return { row, column: column + (action === ACTIONS.west ? -1 : 1) };
}

/** Whether two places are one. */
export function isSame(a: Cell, b: Cell): boolean {
  return a.row === b.row && a.column === b.column;
}

/** The places of a rectangle, row by row. */
export function cells(rows: number, columns: number): Cell[] {
  return Array.from({ length: rows * columns }, (_, i) => ({ row: Math.floor(i / columns), column: i % columns }));
}
