/**
 * Pictures that are made up: a sky of two colours, waves or checks over it, and a few discs, boxes and triangles with shaded
 * surfaces. They take the place of photographs where nothing can be downloaded: colours are correlated, edges are sharp,
 * surfaces are smooth, and no picture comes twice.
 *
 * Only +, −, ·, / and √ are used, so the bytes are the same on every platform.
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, mapSplits, type Split, type TaskOptions } from '../task.ts';
import type { ImageSet, ImageSplits } from './image-set.ts';

/** Options of {@link proceduralImages}. */
export interface ProceduralImagesOptions extends TaskOptions {
  /** Height and width. Default 32. */
  readonly size?: number;
  /** Number of pictures in each split; default 50,000, 10,000 and 10,000, as in CIFAR-10. */
  readonly counts?: Readonly<Record<Split, number>>;
  /** Most shapes in a picture. Default 4. */
  readonly shapes?: number;
}

type Colour = readonly [red: number, green: number, blue: number];

/** Says how much of a pixel at (x, y), in [0, 1]², a shape covers: 0 or 1, and between at its edge. */
type Coverage = (x: number, y: number) => number;

/**
 * Colour pictures of random shapes.
 *
 * @throws RangeError if an option is out of range
 */
export function proceduralImages({
  size = 32,
  counts = { train: 50_000, validation: 10_000, test: 10_000 },
  shapes = 4,
  seed = 0,
}: ProceduralImagesOptions = {}): ImageSplits {
  assertInteger('proceduralImages: size', size, 1, 4096);
  assertInteger('proceduralImages: shapes', shapes, 0, 1000);
  return mapSplits(counts, (count, split): ImageSet => {
    assertInteger(`proceduralImages: counts of ${split}`, count, 0, 2 ** 31 - 1);
    const read = (index: number, into: Uint8Array): void =>
      paint(createRandom(seed, 'procedural-images', split, index), size, shapes, into);
    return { name: `procedural-images/${split}`, height: size, width: size, channels: 3, count, read };
  });
}

function paint(random: Random, size: number, shapes: number, into: Uint8Array): void {
  const picture = new Float64Array(size * size * 3);
  paintGround(random, size, picture);
  const count = shapes === 0 ? 0 : 1 + random.integer(shapes);
  for (let i = 0; i < count; i++) paintShape(random, size, picture);
  for (let i = 0; i < picture.length; i++) {
    into[i] = Math.min(255, Math.max(0, Math.floor(255 * (picture[i] as number) + 0.5)));
  }
}

/** A ground that goes from one colour to another, with soft waves across it in every second picture. */
function paintGround(random: Random, size: number, picture: Float64Array): void {
  const [near, far] = [drawColour(random), drawColour(random)];
  const [dx, dy] = drawDirection(random);
  const [wx, wy] = drawDirection(random);
  const height = random.chance(0.5) ? 0.05 + 0.2 * random.uniform() : 0;
  const frequency = 1 + 5 * random.uniform();
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [x, y] = [(column + 0.5) / size, (row + 0.5) / size];
      const way = 0.5 + ((x - 0.5) * dx + (y - 0.5) * dy) / 1.5;
      const light = height * wave(frequency * (x * wx + y * wy));
      for (let c = 0; c < 3; c++) {
        const place = (row * size + column) * 3 + c;
        picture[place] = (near[c] as number) * (1 - way) + (far[c] as number) * way + light;
      }
    }
  }
}

/** Draws a disc, a box or a triangle over what is there. */
function paintShape(random: Random, size: number, picture: Float64Array): void {
  const [x, y, radius] = [random.uniform(), random.uniform(), 0.1 + 0.3 * random.uniform()];
  const colour = drawColour(random);
  const [dx, dy] = drawDirection(random);
  const coverage = random.choice([disc, box, triangle])(random, radius, 1 / size);
  const shade = 0.5 * random.uniform();
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [u, v] = [(column + 0.5) / size - x, (row + 0.5) / size - y];
      const cover = coverage(u, v);
      if (cover === 0) continue;
      const light = (-shade * (u * dx + v * dy)) / radius;
      for (let c = 0; c < 3; c++) {
        const place = (row * size + column) * 3 + c;
        picture[place] = (1 - cover) * (picture[place] as number) + cover * ((colour[c] as number) + light);
      }
    }
  }
}

function disc(_random: Random, radius: number, pixel: number): Coverage {
  return (u, v) => edge(radius - Math.sqrt(u * u + v * v), pixel);
}

function box(random: Random, radius: number, pixel: number): Coverage {
  const [dx, dy] = drawDirection(random);
  const flat = 0.4 + 0.6 * random.uniform();
  return (u, v) => {
    const [along, across] = [Math.abs(u * dx + v * dy), Math.abs(v * dx - u * dy)];
    return edge(Math.min(radius - along, radius * flat - across), pixel);
  };
}

/** The cut of three half planes at the same distance from the centre, 120 degrees apart. */
function triangle(random: Random, radius: number, pixel: number): Coverage {
  const [dx, dy] = drawDirection(random);
  const turn = Math.sqrt(3) / 2;
  return (u, v) => {
    const [a, b] = [u * dx + v * dy, turn * (v * dx - u * dy)];
    return edge(0.5 * radius - Math.max(a, -0.5 * a + b, -0.5 * a - b), pixel);
  };
}

/** 0 outside, 1 inside, linear over the width of a pixel. */
function edge(depth: number, pixel: number): number {
  return Math.min(1, Math.max(0, depth / pixel + 0.5));
}

/** A wave of period 1 from −1 to 1, made of parabolas. */
function wave(x: number): number {
  const t = 2 * (x - Math.floor(x)) - 1;
  return 4 * t * (1 - Math.abs(t));
}

/** A grey of random brightness, mixed with a random colour: saturated colours are rarer than dull ones, as in photographs. */
function drawColour(random: Random): Colour {
  const grey = random.uniform();
  const mixture = random.uniform();
  const channel = () => grey + mixture * (random.uniform() - grey);
  return [channel(), channel(), channel()];
}

/** A unit vector. */
function drawDirection(random: Random): readonly [number, number] {
  for (;;) {
    const [x, y] = [2 * random.uniform() - 1, 2 * random.uniform() - 1];
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}
