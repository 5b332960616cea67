/** Draws the state of a model along a word of parity: its place after each bit, coloured by what is true. */

import type { ParityTrace } from './parity-trace.ts';

const WIDTH = 760;
const HEIGHT = 220;
const MARGIN = { left: 46, right: 12, top: 30, bottom: 34 };
const EVEN = '#1b7f5c';
const ODD = '#c4472b';

/**
 * An SVG picture.
 *
 * @param title of the picture
 * @param trace what to draw
 */
export function trajectoryPicture(title: string, { bits, places, even, said }: ParityTrace): string {
  const most = Math.max(1.5, ...places.map(Math.abs));
  const x = (t: number) => MARGIN.left + ((t + 0.5) * (WIDTH - MARGIN.left - MARGIN.right)) / bits.length;
  const y = (place: number) => MARGIN.top + ((1 - place / most) * (HEIGHT - MARGIN.top - MARGIN.bottom)) / 2;
  const line = places.map((place, t) => `${x(t).toFixed(1)},${y(place).toFixed(1)}`).join(' ');
  const points = places.map((place, t) => {
    const colour = even[t] ? EVEN : ODD;
    // What the model says wrong is hollow.
    const fill = said[t] === even[t] ? colour : 'white';
    return `<circle cx="${x(t).toFixed(1)}" cy="${y(place).toFixed(1)}" r="3" fill="${fill}" stroke="${colour}"/>`;
  });
  const symbols = bits.map((bit, t) => `<text x="${x(t).toFixed(1)}" y="${HEIGHT - 18}" ${MIDDLE}>${bit}</text>`);
  const level = (place: number, label: string) =>
    `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(place)}" y2="${y(place)}" stroke="#ddd"/>` +
    `<text x="${MARGIN.left - 6}" y="${y(place) + 4}" text-anchor="end">${label}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${MARGIN.left}" y="16" font-size="13">${title}: state after each bit, along the direction from odd to even</text>`,
    level(1, 'even'),
    level(-1, 'odd'),
    `<polyline points="${line}" fill="none" stroke="#999"/>`,
    ...points,
    ...symbols,
    `<text x="${MARGIN.left}" y="${HEIGHT - 4}" fill="#666">filled: the model says so; hollow: it says the opposite</text>`,
    '</svg>',
  ].join('\n');
}

const MIDDLE = 'text-anchor="middle"';
