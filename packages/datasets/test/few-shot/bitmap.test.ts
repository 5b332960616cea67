import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BITMAP_SIZE, reduceBitmap } from '../../src/few-shot/bitmap.ts';

const bitmaps = fc.uint8Array({ minLength: 40, maxLength: 40 }).map((bytes) => {
  const bitmap = new Uint8Array(BITMAP_SIZE * BITMAP_SIZE);
  // A pattern that has all kinds of neighbours.
  return bitmap.map((_, i) => ((bytes[i % 40] as number) >> (Math.floor(i / 40) % 8)) & 1);
});

/** How much of the pixel j before is in the pixel i after, in pixels before. */
const overlap = (size: number, i: number, j: number) =>
  Math.max(0, Math.min(((i + 1) * BITMAP_SIZE) / size, j + 1) - Math.max((i * BITMAP_SIZE) / size, j));

test('each pixel is the share of ink in its area', () => {
  fc.assert(
    fc.property(bitmaps, fc.integer({ min: 1, max: BITMAP_SIZE }), fc.nat(), fc.nat(), (bitmap, size, a, b) => {
      const [row, column] = [a % size, b % size];
      let ink = 0;
      for (let j = 0; j < BITMAP_SIZE; j++) {
        for (let i = 0; i < BITMAP_SIZE; i++) {
          ink += overlap(size, row, j) * overlap(size, column, i) * (bitmap[j * BITMAP_SIZE + i] as number);
        }
      }
      const reduced = reduceBitmap(bitmap, size);
      expect(reduced.length).toBe(size * size);
      const exact = 255 * ink * (size / BITMAP_SIZE) ** 2;
      expect(Math.abs((reduced[row * size + column] as number) - exact)).toBeLessThan(0.5 + 1e-6);
    }),
    { numRuns: 40 },
  );
});

test('at 105 pixels nothing is lost', () => {
  fc.assert(
    fc.property(bitmaps, (bitmap) => {
      expect(reduceBitmap(bitmap, BITMAP_SIZE)).toEqual(bitmap.map((ink) => 255 * ink));
    }),
    { numRuns: 5 },
  );
});
