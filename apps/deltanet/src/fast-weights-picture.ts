/**
 * A moving picture of two fast-weight memories at work: what they answer for every key, after every pair of a sequence in
 * which keys are re-assigned. The sum rule's answers become mixtures; the delta rule's stay the latest value.
 *
 * SVG with SMIL animation: a browser (or a README) plays it; what shows a still picture shows the last step.
 */

/** What one memory answers. */
export interface MemoryAnswers {
  /** Heading of the panel. */
  readonly title: string;
  /** What the memory does with a pair. */
  readonly equation: string;
  /** `[step][key][value]`: what the memory recalls for each key after each pair. */
  readonly recalled: readonly (readonly (readonly number[])[])[];
}

/** A sequence, and what memories made of it. */
export interface PictureContent {
  /** The key and value of each step. */
  readonly pairs: readonly { readonly key: number; readonly value: number }[];
  readonly keys: number;
  readonly panels: readonly MemoryAnswers[];
  /** Seconds per step. Default 0.9. */
  readonly secondsPerStep?: number;
}

const CELL = 36;
const MARGIN = { top: 86, left: 46, gap: 64, right: 24, bottom: 92 };
const KEY_NAMES = 'abcdefghijklmnopqrstuvwxyz';
const COLOURS = { cell: '#1d4ed8', truth: '#ea580c', text: '#1f2937', faint: '#6b7280', grid: '#e5e7eb' };

/** @returns the picture as an SVG document */
export function fastWeightsPicture({ pairs, keys, panels, secondsPerStep = 0.9 }: PictureContent): string {
  const side = keys * CELL;
  const width = MARGIN.left + panels.length * side + (panels.length - 1) * MARGIN.gap + MARGIN.right;
  const height = MARGIN.top + side + MARGIN.bottom;
  const timing = `dur="${(pairs.length * secondsPerStep).toFixed(1)}s" repeatCount="indefinite" calcMode="discrete"`;
  const latest = latestValues(pairs, keys);
  const drawn = panels.map((panel, index) => {
    const left = MARGIN.left + index * (side + MARGIN.gap);
    return `<g transform="translate(${left} ${MARGIN.top})">${drawPanel(panel, latest, keys, timing)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="What two memories answer for every key while keys are re-assigned" font-family="ui-sans-serif, system-ui, sans-serif" font-size="13" fill="${COLOURS.text}">
<rect width="${width}" height="${height}" rx="10" fill="#ffffff"/>
${drawn.join('\n')}
${drawSequence(pairs, width, height, timing)}
</svg>
`;
}

function drawPanel(
  { title, equation, recalled }: MemoryAnswers,
  latest: readonly (readonly (number | undefined)[])[],
  keys: number,
  timing: string,
): string {
  const side = keys * CELL;
  const all = Array.from({ length: keys }, (_, i) => i);
  const cells = all.flatMap((key) =>
    all.map((value) => {
      const shades = recalled.map((answers, step) =>
        latest[step]?.[key] === undefined ? 0 : Math.min(1, Math.max(0, answers[key]?.[value] ?? 0)),
      );
      const values = shades.map((shade) => Number(shade.toFixed(2)));
      return (
        `<rect x="${key * CELL + 1}" y="${value * CELL + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="3" ` +
        `fill="${COLOURS.cell}" fill-opacity="${values.at(-1)}"><animate attributeName="fill-opacity" values="${values.join(';')}" ${timing}/></rect>`
      );
    }),
  );
  const truths = all.map((key) => {
    const rows = latest.map((values) => (values[key] === undefined ? -keys * 2 : values[key]) * CELL);
    return (
      `<rect x="${key * CELL + 1}" y="${rows.at(-1)}" width="${CELL - 2}" height="${CELL - 2}" rx="3" fill="none" stroke="${COLOURS.truth}" stroke-width="2.5">` +
      `<animate attributeName="y" values="${rows.map((y) => y + 1).join(';')}" ${timing}/></rect>`
    );
  });
  const columns = all.map((key) => `<text x="${(key + 0.5) * CELL}" y="-8">${KEY_NAMES[key]}</text>`);
  const rows = all.map((value) => `<text x="-14" y="${((value + 0.65) * CELL).toFixed(1)}">${value + 1}</text>`);
  const lines = all.flatMap((i) => [`M0 ${i * CELL}H${side}`, `M${i * CELL} 0V${side}`]);
  return [
    `<text y="-54" font-size="16" font-weight="600">${title}</text>`,
    `<text y="-34" fill="${COLOURS.faint}">${equation}</text>`,
    `<path d="${lines.join('')}M0 ${side}H${side}V0" stroke="${COLOURS.grid}" fill="none"/>`,
    `<g text-anchor="middle" fill="${COLOURS.faint}">${columns.join('')}${rows.join('')}</g>`,
    // Cells above the panel, where keys without a value have their outline, are cut off.
    `<svg width="${side}" height="${side}">${cells.join('')}${truths.join('')}</svg>`,
  ].join('\n');
}

/** The sequence as text, with the current pair emphasised. */
function drawSequence(pairs: PictureContent['pairs'], width: number, height: number, timing: string): string {
  const step = (width - MARGIN.left - MARGIN.right) / pairs.length;
  const items = pairs.map(({ key, value }, index) => {
    const shown = pairs.map((_, now) => (now === index ? 1 : now > index ? 0.55 : 0.15));
    return (
      `<text x="${(MARGIN.left + (index + 0.5) * step).toFixed(1)}" y="${height - 62}" text-anchor="middle" opacity="${shown.at(-1)}">` +
      `${KEY_NAMES[key]}${value + 1}<animate attributeName="opacity" values="${shown.join(';')}" ${timing}/></text>`
    );
  });
  const legend = [
    'Blue: what the memory answers for the key of the column.',
    'Orange: the value that the key was given last.',
  ].map(
    (line, index) =>
      `<text x="${MARGIN.left}" y="${height - 34 + 18 * index}" fill="${COLOURS.faint}" font-size="12">${line}</text>`,
  );
  return [...items, ...legend].join('\n');
}

/** `[step][key]`: the value that each key was given last. */
function latestValues(pairs: PictureContent['pairs'], keys: number): (number | undefined)[][] {
  const current = new Array<number | undefined>(keys).fill(undefined);
  return pairs.map(({ key, value }) => {
    current[key] = value;
    return [...current];
  });
}
