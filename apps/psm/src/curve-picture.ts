/** Draws one curve over positions of a stream, from zero upwards. */

const WIDTH = 560;
const HEIGHT = 200;
const MARGIN = { left: 64, right: 16, top: 32, bottom: 32 };

/**
 * An SVG picture.
 *
 * @param title of the picture
 * @param positions horizontal places
 * @param values of the curve, none of them negative
 */
export function curvePicture(title: string, positions: readonly number[], values: readonly number[]): string {
  const most = Math.max(...values, Number.MIN_VALUE);
  const end = Math.max(...positions, 1);
  const x = (position: number) => MARGIN.left + (position / end) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) => HEIGHT - MARGIN.bottom - (value / most) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const places = values.map((value, i) => [x(positions[i] as number).toFixed(1), y(value).toFixed(1)] as const);
  const level = (value: number, label: string) =>
    `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>` +
    `<text x="${MARGIN.left - 6}" y="${y(value) + 4}" text-anchor="end">${label}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${MARGIN.left}" y="18" font-size="13">${title}</text>`,
    level(0, '0'),
    level(most, Number(most.toPrecision(3)).toLocaleString('en')),
    `<polyline points="${places.map((place) => place.join(',')).join(' ')}" fill="none" stroke="#2f6fb2" stroke-width="1.5"/>`,
    ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="#2f6fb2"/>`),
    `<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 10}" text-anchor="end">position ${end.toLocaleString('en')}</text>`,
    '</svg>',
  ].join('\n');
}
