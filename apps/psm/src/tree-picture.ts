/**
 * Draws how a prefix-scannable model reads a stream: time to the right, level of the tree upwards. A bar is a root and stands for
 * the chunks below it; it lives from the chunk that completes it to the one that merges it with its neighbour. A cut through the
 * picture at any time meets the roots that live then, one for each bit of the number of chunks.
 */

import { insertElement, type PrefixRoots } from '@fwp/core';

const WIDTH = 760;
const ROW = 34;
const MARGIN = { left: 46, right: 16, top: 34, bottom: 50 };
const COLOURS = ['#2f6fb2', '#1b7f5c', '#c4872b', '#c4472b', '#7a4fb0', '#4a4a4a', '#2b9ec4'];

/** A root: which chunks it stands for, and when it lived. */
interface Life {
  readonly level: number;
  readonly first: number;
  readonly born: number;
  died: number;
}

/**
 * An SVG picture.
 *
 * @param chunks how many are read
 * @param chunkSize elements of a chunk, for the label
 */
export function treePicture(chunks: number, chunkSize: number): string {
  const { lives, counts } = livesOf(chunks);
  const levels = Math.floor(Math.log2(chunks)) + 1;
  const height = MARGIN.top + levels * ROW + MARGIN.bottom;
  const step = (WIDTH - MARGIN.left - MARGIN.right) / chunks;
  const x = (t: number) => MARGIN.left + t * step;
  const y = (level: number) => MARGIN.top + (levels - 1 - level) * ROW;
  const bars = lives.map(({ level, first, born, died }) => {
    const colour = COLOURS[level % COLOURS.length];
    const last = first + 2 ** level - 1;
    const span = level === 0 ? `${first}` : `${first}–${last}`;
    return (
      `<rect x="${x(born).toFixed(1)}" y="${y(level) + 4}" width="${((died - born) * step - 2).toFixed(1)}" height="${ROW - 10}" ` +
      `rx="3" fill="${colour}" fill-opacity="0.75"><title>chunks ${span}</title></rect>` +
      `<text x="${(x(born) + 4).toFixed(1)}" y="${y(level) + ROW / 2 + 4}" fill="white" font-size="9">${span}</text>`
    );
  });
  const labels = Array.from({ length: levels }, (_, level) => {
    return `<text x="${MARGIN.left - 6}" y="${y(level) + ROW / 2 + 4}" text-anchor="end">${2 ** level}</text>`;
  });
  const bottom = MARGIN.top + levels * ROW;
  const numbers = counts.map((count, t) => {
    return `<text x="${x(t + 0.5).toFixed(1)}" y="${bottom + 16}" text-anchor="middle" fill="#666">${count}</text>`;
  });
  const unit = chunkSize === 1 ? 'elements' : `chunks of ${chunkSize} elements`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    `<text x="${MARGIN.left}" y="18" font-size="13">Live roots of the tree while ${chunks} ${unit} are read; left: how many each stands for</text>`,
    ...bars,
    ...labels,
    ...numbers,
    `<text x="${MARGIN.left}" y="${bottom + 34}" fill="#666">below: roots that live after each chunk, the ones in the binary number of chunks</text>`,
    '</svg>',
  ].join('\n');
}

/** All roots of a stream, from the counter itself. */
function livesOf(chunks: number): { lives: Life[]; counts: number[] } {
  const lives: Life[] = [];
  const counts: number[] = [];
  let roots: PrefixRoots<number> = [];
  for (let t = 0; t < chunks; t++) {
    // An element is the first chunk that it stands for.
    const next = insertElement((earlier) => earlier, roots, t);
    const lived = new Set(next.map(({ level, value }) => `${level} ${value}`));
    for (const life of lives) if (life.died > t && !lived.has(`${life.level} ${life.first}`)) life.died = t;
    const { level, value } = next.at(-1) as PrefixRoots<number>[number];
    lives.push({ level, first: value, born: t, died: chunks });
    roots = next;
    counts.push(roots.length);
  }
  return { lives, counts };
}
