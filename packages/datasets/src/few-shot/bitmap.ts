/**
 * Black and white pictures of characters, and their reduction to fewer pixels, in integers only: the same bytes everywhere.
 */

/** Rows and columns of a bitmap: those of the pictures of Omniglot. */
export const BITMAP_SIZE = 105;

/** A picture of 105 × 105 pixels, row by row: 1 is ink, 0 is paper. */
export type Bitmap = Uint8Array;

/**
 * Reduces a bitmap to `size` × `size` pixels from 0 (paper) to 255 (ink): the share of ink in the area of each.
 *
 * @param size from 1 to 105
 */
export function reduceBitmap(bitmap: Bitmap, size: number): Uint8Array {
  const across = reduceRows(bitmap, BITMAP_SIZE, size);
  const both = reduceRows(across, size, size);
  const area = BITMAP_SIZE * BITMAP_SIZE;
  return new Uint8Array(both.map((ink) => Math.floor((2 * 255 * ink + area) / (2 * area))));
}

/**
 * Reduces each row of 105 numbers to `size` and transposes. With a length unit in which a pixel before is `size` and a pixel
 * after is 105 long, all borders are integers; a pixel before is in one pixel after or across the border of two.
 */
function reduceRows(pixels: ArrayLike<number>, rows: number, size: number): Int32Array {
  const reduced = new Int32Array(size * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < BITMAP_SIZE; column++) {
      const ink = pixels[row * BITMAP_SIZE + column] as number;
      if (ink === 0) continue;
      const [begin, end] = [column * size, (column + 1) * size];
      const after = Math.floor(begin / BITMAP_SIZE);
      const border = Math.min(end, (after + 1) * BITMAP_SIZE);
      reduced[after * rows + row]! += (border - begin) * ink;
      if (border < end) reduced[(after + 1) * rows + row]! += (end - border) * ink;
    }
  }
  return reduced;
}
