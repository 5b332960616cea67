/** Many small pictures in one PNG. */

import { encode } from 'fast-png';

/** Pictures of one size as bytes `[count, height, width, channels]`. */
export interface Pictures {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

const GAP = 2;
/** Small pictures are enlarged, so that a report shows them. */
const LEAST_SIDE = 48;

/**
 * Pictures in rows of `columns`, each enlarged by a whole number, on white.
 *
 * @returns the bytes of a PNG file
 */
export function contactSheet({ pixels, height, width, channels }: Pictures, columns: number): Uint8Array {
  const count = pixels.length / (height * width * channels);
  const rows = Math.ceil(count / columns);
  const zoom = Math.max(1, Math.ceil(LEAST_SIDE / height));
  const [stepX, stepY] = [width * zoom + GAP, height * zoom + GAP];
  const [sheetWidth, sheetHeight] = [columns * stepX + GAP, rows * stepY + GAP];
  const data = new Uint8Array(sheetWidth * sheetHeight * 3).fill(255);
  for (let picture = 0; picture < count; picture++) {
    const [left, top] = [GAP + (picture % columns) * stepX, GAP + Math.floor(picture / columns) * stepY];
    for (let y = 0; y < height * zoom; y++) {
      for (let x = 0; x < width * zoom; x++) {
        const from = ((picture * height + Math.floor(y / zoom)) * width + Math.floor(x / zoom)) * channels;
        const to = ((top + y) * sheetWidth + left + x) * 3;
        for (let c = 0; c < 3; c++) data[to + c] = pixels[from + (channels === 1 ? 0 : c)] as number;
      }
    }
  }
  return encode({ width: sheetWidth, height: sheetHeight, data, channels: 3, depth: 8 });
}
