/** Matrices as a picture: dark is 1, white is 0. SVG. */

/** One matrix of values from 0 to 1, with the names of its rows and columns. */
export interface HeatMap {
  readonly title: string;
  readonly values: readonly ArrayLike<number>[];
  /** Default: none. */
  readonly rows?: readonly string[];
  readonly columns?: readonly string[];
}

const CELL = 16;
const MARGIN = { top: 70, left: 70, gap: 26, line: 14 };
const COLOURS = { cell: '#1d4ed8', text: '#1f2937', faint: '#6b7280', grid: '#e5e7eb' };

/**
 * Draws matrices in rows.
 *
 * @param title heading of the picture
 * @param lines matrices, line by line
 * @param note what is seen, below the heading
 * @param cellSize side of a cell
 */
export function heatMapPicture(
  title: string,
  lines: readonly (readonly HeatMap[])[],
  note: string,
  cellSize: number = CELL,
): string {
  let top = MARGIN.top;
  let width = 0;
  const drawn: string[] = [];
  for (const maps of lines) {
    let left = MARGIN.left;
    let height = 0;
    for (const map of maps) {
      const columns = Math.max(...map.values.map(({ length }) => length));
      drawn.push(`<g transform="translate(${left} ${top})">${drawMap(map, columns, cellSize)}</g>`);
      left += columns * cellSize + MARGIN.gap;
      height = Math.max(height, map.values.length * cellSize);
    }
    width = Math.max(width, left);
    top += height + 2 * MARGIN.gap;
  }
  width = Math.max(width, 20 + 6.2 * note.length);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" role="img" aria-label="${escapeXml(title)}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="11" fill="${COLOURS.text}">
<rect width="${width}" height="${top}" fill="#ffffff"/>
<text x="10" y="20" font-size="15" font-weight="600">${escapeXml(title)}</text>
<text x="10" y="38" fill="${COLOURS.faint}">${escapeXml(note)}</text>
${drawn.join('\n')}
</svg>
`;
}

function drawMap({ title, values, rows, columns }: HeatMap, count: number, size: number): string {
  const cells = values.flatMap((row, y) =>
    Array.from(row, (value, x) => {
      const opacity = Math.min(1, Math.max(0, value));
      if (opacity < 0.005) return '';
      return `<rect x="${x * size}" y="${y * size}" width="${size}" height="${size}" fill="${COLOURS.cell}" fill-opacity="${opacity.toFixed(2)}"/>`;
    }),
  );
  const [width, height] = [count * size, values.length * size];
  const lines = [
    ...Array.from({ length: count + 1 }, (_, x) => `M${x * size} 0V${height}`),
    ...Array.from({ length: values.length + 1 }, (_, y) => `M0 ${y * size}H${width}`),
  ];
  const left = rows?.map(
    (name, y) => `<text x="-4" y="${(y + 0.75) * size}" text-anchor="end">${escapeXml(name)}</text>`,
  );
  const below = columns?.map(
    (name, x) =>
      `<text x="${(x + 0.5) * size}" y="${height + 12}" text-anchor="middle" font-size="8">${escapeXml(name)}</text>`,
  );
  return [
    `<text y="-6" fill="${COLOURS.faint}">${escapeXml(title)}</text>`,
    `<path d="${lines.join('')}" stroke="${COLOURS.grid}" fill="none"/>`,
    ...cells,
    ...(left ?? []),
    ...(below ?? []),
  ].join('');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
