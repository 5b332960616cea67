/** Pictures of small codebooks, as SVG: colours on their grid, or the grid drawn through the points, seen from one side. */

import { gridEdges } from '@fwp/ksom-vq';

const SIDE = 320;
const MARGIN = 14;
const TEXT = '#1f2937';
const LINE = '#1d4ed8';
const POINT = '#9ca3af';

/** A codebook in [−1, 1]³ as colours, each code in its place on the grid `[columns, rows]`. */
export function colourGrid(title: string, codebook: ArrayLike<number>, gridShape: readonly number[]): string {
  const [columns, rows] = [gridShape[0] as number, (codebook.length / 3 / (gridShape[0] as number)) as number];
  const cell = SIDE / Math.max(columns, rows);
  const cells = Array.from({ length: columns * rows }, (_, code) => {
    const [red, green, blue] = [0, 1, 2].map((i) =>
      Math.round(clamp(codebook[3 * code + i] as number) * 127.5 + 127.5),
    );
    const [x, y] = [(code % columns) * cell, Math.floor(code / columns) * cell];
    return `<rect x="${x.toFixed(2)}" y="${y.toFixed(2)}" width="${cell.toFixed(2)}" height="${cell.toFixed(2)}" fill="rgb(${red},${green},${blue})"/>`;
  });
  return frame(title, columns * cell, rows * cell, cells.join(''));
}

/** The first two coordinates of a codebook: some of the vectors in grey, codes as dots, neighbours on the grid joined. */
export function mapThroughPoints(
  title: string,
  codebook: ArrayLike<number>,
  vectors: ArrayLike<number>,
  size: number,
  gridShape: readonly number[],
): string {
  const place = (values: ArrayLike<number>, i: number): string[] =>
    [0, 1].map((axis) => (((clamp((values[size * i + axis] as number) / 1.5) + 1) / 2) * SIDE).toFixed(1));
  const dots = (values: ArrayLike<number>, radius: number, colour: string) =>
    Array.from({ length: values.length / size }, (_, i) => {
      const [x, y] = place(values, i);
      return `<circle cx="${x}" cy="${y}" r="${radius}" fill="${colour}"/>`;
    });
  const lines = gridEdges(gridShape).map(
    ([a, b]) => `M${place(codebook, a).join(' ')}L${place(codebook, b).join(' ')}`,
  );
  const drawn = `<path d="${lines.join('')}" stroke="${LINE}" stroke-opacity="0.5" fill="none"/>`;
  return frame(title, SIDE, SIDE, [...dots(vectors, 1, POINT), drawn, ...dots(codebook, 1.8, LINE)].join(''));
}

function frame(title: string, width: number, height: number, content: string): string {
  const [w, h] = [width + 2 * MARGIN, height + 2 * MARGIN + 20];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" font-family="sans-serif" font-size="13" fill="${TEXT}">` +
    `<rect width="${w}" height="${h}" fill="#ffffff"/><text x="${MARGIN}" y="${MARGIN + 6}">${title}</text>` +
    `<svg x="${MARGIN}" y="${MARGIN + 20}" width="${width}" height="${height}">${content}</svg></svg>\n`
  );
}

function clamp(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
