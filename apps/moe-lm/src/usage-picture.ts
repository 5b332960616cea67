/**
 * Pictures of how experts are used: a bar for the share of each, sorted, with the share of equal use as a line; and as a field, how
 * shares change while a model learns.
 */

import type { Usage } from '@fwp/moe';

/** One row of {@link usagePicture}. */
export interface UsageRow extends Usage {
  readonly name: string;
}

const [BAR, ROW, LEFT, TOP] = [14, 64, 150, 44];
const FONT = 'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12"';

/** A row of bars for each layer or variant; empty bars are experts that nobody chose. */
export function usagePicture({ title, rows }: { readonly title: string; readonly rows: readonly UsageRow[] }): string {
  const most = Math.max(...rows.map(({ shares }) => shares.length), 1);
  const width = LEFT + most * BAR + 24;
  const drawn = rows.map(({ name, shares, relativePerplexity, dead }, i) => {
    const bottom = TOP + (i + 1) * ROW - 14;
    // The height of a row is three times the share of equal use, or what the largest share needs.
    const scale = (ROW - 24) / Math.max(3 / shares.length, ...shares);
    const bars = [...shares]
      .sort((a, b) => b - a)
      .map((share, e) => {
        const height = (share * scale).toFixed(1);
        const fill = share === 0 ? '#dc2626' : '#1d4ed8';
        return `<rect x="${LEFT + e * BAR + 1}" y="${bottom - Number(height)}" width="${BAR - 2}" height="${Math.max(1, Number(height))}" fill="${fill}"/>`;
      });
    const equal = bottom - scale / shares.length;
    const end = LEFT + shares.length * BAR;
    return [
      ...bars,
      `<line x1="${LEFT}" x2="${end}" y1="${equal}" y2="${equal}" stroke="#ea580c" stroke-dasharray="3 3"/>`,
      `<line x1="${LEFT}" x2="${end}" y1="${bottom}" y2="${bottom}" stroke="#9ca3af"/>`,
      `<text x="12" y="${bottom - 18}">${escapeXml(name)}</text>`,
      `<text x="12" y="${bottom - 3}" fill="#6b7280">used ${relativePerplexity.toFixed(2)}, dead ${dead}</text>`,
    ].join('\n');
  });
  return svg(width, TOP + rows.length * ROW, title, [
    ...drawn,
    `<text x="${LEFT}" y="36" fill="#6b7280">share of each expert, sorted; dashed: equal use</text>`,
  ]);
}

/** Shares of experts at some steps. */
export interface UsageHistory {
  readonly title: string;
  readonly steps: readonly number[];
  /** `[step][expert]` */
  readonly shares: readonly (readonly number[])[];
}

/** A field with a row for each expert and a column for each look at it: the darker, the more it was used. */
export function usageHistoryPicture({ title, steps, shares }: UsageHistory): string {
  const experts = shares[0]?.length ?? 0;
  const [cell, left] = [12, 64];
  const column = Math.max(4, Math.min(24, Math.floor(480 / Math.max(1, steps.length))));
  const cells = shares.flatMap((row, s) =>
    row.map((share, e) => {
      // White is never, the full colour four times the share of equal use and more.
      const strength = Math.min(1, (share * experts) / 4).toFixed(3);
      return `<rect x="${left + s * column}" y="${TOP + e * cell}" width="${column}" height="${cell}" fill="#1d4ed8" fill-opacity="${strength}"/>`;
    }),
  );
  const [width, height] = [left + steps.length * column + 24, TOP + experts * cell + 28];
  return svg(width, height, title, [
    ...cells,
    `<rect x="${left}" y="${TOP}" width="${steps.length * column}" height="${experts * cell}" fill="none" stroke="#9ca3af"/>`,
    `<text x="12" y="${TOP + 12}" fill="#6b7280">expert</text>`,
    `<text x="${left}" y="${height - 10}" fill="#6b7280">step ${steps[0] ?? 0}</text>`,
    `<text x="${width - 24}" y="${height - 10}" text-anchor="end" fill="#6b7280">${steps.at(-1) ?? 0}</text>`,
    `<text x="${left}" y="36" fill="#6b7280">share of each expert: white none, dark four times that of equal use</text>`,
  ]);
}

function svg(width: number, height: number, title: string, content: readonly string[]): string {
  const wide = Math.max(width, 420);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${wide} ${height}" width="${wide}" height="${height}" role="img" aria-label="${escapeXml(title)}" ${FONT} fill="#1f2937">`,
    `<rect width="${wide}" height="${height}" fill="#ffffff"/>`,
    `<text x="12" y="20" font-weight="600">${escapeXml(title)}</text>`,
    ...content,
    '</svg>\n',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
