/**
 * Characters that nobody has invented: each class is a few random strokes of a pen, its examples are attempts to draw them
 * again. They take the place of Omniglot (Lake, Salakhutdinov, Tenenbaum 2015) where nothing can be downloaded, with as many
 * pixels, classes and examples.
 *
 * A stroke is one or two arcs; an arc is a quadratic Bézier curve, B(t) = (1 − t)² p₀ + 2 (1 − t) t p₁ + t² p₂. An attempt moves
 * all points a little, each its own way and all together (turned, sheared, scaled, shifted), and takes a pen of its own width.
 * All coordinates are integers, in sixteenths of a pixel of a picture of 105 × 105.
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, mapSplits, type Split, type TaskOptions } from '../task.ts';
import { BITMAP_SIZE, type Bitmap, reduceBitmap } from './bitmap.ts';
import { type ClassSplits, countBySplit } from './class-source.ts';

/** Options of {@link strokeCharacters}. */
export interface StrokeCharactersOptions extends TaskOptions {
  /** Rows and columns of a picture, from 1 to 105. Default 28. */
  readonly size?: number;
  /** Classes in each split, or in all of them. Default 1028, 172 and 423: as many as of Omniglot by custom. */
  readonly classes?: number | Readonly<Record<Split, number>>;
  /** Examples of each class. Default 20. */
  readonly examples?: number;
}

/** A point, in sixteenths of a pixel. */
type Point = readonly [x: number, y: number];
/** A quadratic Bézier curve. */
type Arc = readonly [Point, Point, Point];

const PIXEL = 16;
const CENTRE = (BITMAP_SIZE * PIXEL) >> 1;
/** Points of a class are at least this far from the border. */
const MARGIN = 18 * PIXEL;
/** Points at which the pen is put down on an arc, as a power of 2: less than two pixels from one to the next. */
const LOG_STEPS = 7;

/**
 * Classes of hand-drawn characters made of random strokes; `shape` is `[size, size, 1]`, ink is 1 and paper 0.
 *
 * @throws RangeError if an option is out of range
 */
export function strokeCharacters({
  size = 28,
  classes = { train: 1028, validation: 172, test: 423 },
  examples = 20,
  seed = 0,
}: StrokeCharactersOptions = {}): ClassSplits {
  assertInteger('strokeCharacters: size', size, 1, BITMAP_SIZE);
  assertInteger('strokeCharacters: examples', examples, 1, 2 ** 31);
  const name = 'stroke-characters';
  return mapSplits(countBySplit(name, classes), (classCount, split) => ({
    name,
    shape: [size, size, 1],
    classCount,
    exampleCount: examples,
    read: (classIndex, example, into) => {
      const character = drawCharacter(createRandom(seed, name, split, classIndex));
      const bitmap = attempt(character, createRandom(seed, name, split, classIndex, example));
      reduceBitmap(bitmap, size).forEach((ink, i) => {
        into[i] = ink / 255;
      });
    },
  }));
}

/** The arcs of a new class: two or three strokes, of which about half of the later ones begin at a point of those before. */
function drawCharacter(random: Random): Arc[] {
  const arcs: Arc[] = [];
  const coordinate = () => MARGIN + random.integer(BITMAP_SIZE * PIXEL - 2 * MARGIN);
  const point = (): Point => [coordinate(), coordinate()];
  const farFrom = (from: Point, distance: number): Point => {
    let to = point();
    while (Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])) < distance) to = point();
    return to;
  };
  const strokes = 2 + random.integer(2);
  for (let stroke = 0; stroke < strokes; stroke++) {
    let begin = arcs.length > 0 && random.integer(2) === 0 ? random.choice(random.choice(arcs)) : point();
    for (let more = 1 + random.integer(2); more > 0; more--) {
      const end = farFrom(begin, 20 * PIXEL);
      // Half of the arcs are straight: their middle point is between the others.
      const middle: Point = random.integer(2) === 0 ? [(begin[0] + end[0]) >> 1, (begin[1] + end[1]) >> 1] : point();
      arcs.push([begin, middle, end]);
      begin = end;
    }
  }
  return arcs;
}

/** One attempt to draw the arcs. */
function attempt(arcs: readonly Arc[], random: Random): Bitmap {
  const within = (most: number) => random.integer(2 * most + 1) - most;
  // Of 256: up to an eighth of turning, shearing and scaling.
  const [xx, xy, yx, yy] = [256 + within(32), within(32), within(32), 256 + within(32)];
  const [right, down] = [within(5 * PIXEL), within(5 * PIXEL)];
  const radius = 20 + random.integer(9);
  const move = ([x, y]: Point): Point => {
    const [fromCentreX, fromCentreY] = [x + within(2 * PIXEL) - CENTRE, y + within(2 * PIXEL) - CENTRE];
    return [
      CENTRE + right + ((xx * fromCentreX + xy * fromCentreY) >> 8),
      CENTRE + down + ((yx * fromCentreX + yy * fromCentreY) >> 8),
    ];
  };
  const bitmap = new Uint8Array(BITMAP_SIZE * BITMAP_SIZE);
  for (const [begin, middle, end] of arcs) drawArc(bitmap, [move(begin), move(middle), move(end)], radius);
  return bitmap;
}

function drawArc(bitmap: Bitmap, [begin, middle, end]: Arc, radius: number): void {
  const steps = 1 << LOG_STEPS;
  for (let t = 0; t <= steps; t++) {
    const [a, b, c] = [(steps - t) * (steps - t), 2 * (steps - t) * t, t * t];
    const x = (a * begin[0] + b * middle[0] + c * end[0]) >> (2 * LOG_STEPS);
    const y = (a * begin[1] + b * middle[1] + c * end[1]) >> (2 * LOG_STEPS);
    putDownPen(bitmap, x, y, radius);
  }
}

/** Inks the pixels whose centre is at most `radius` away. */
function putDownPen(bitmap: Bitmap, x: number, y: number, radius: number): void {
  const [first, last] = [Math.max(0, (x - radius) >> 4), Math.min(BITMAP_SIZE - 1, (x + radius) >> 4)];
  for (let row = Math.max(0, (y - radius) >> 4); row <= Math.min(BITMAP_SIZE - 1, (y + radius) >> 4); row++) {
    const fromRow = row * PIXEL + PIXEL / 2 - y;
    for (let column = first; column <= last; column++) {
      const fromColumn = column * PIXEL + PIXEL / 2 - x;
      if (fromRow * fromRow + fromColumn * fromColumn <= radius * radius) bitmap[row * BITMAP_SIZE + column] = 1;
    }
  }
}
