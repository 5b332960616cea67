/** Results of a run as Markdown, and READMEs that are kept up to date with them. */

import { UsageError } from '../errors.ts';
import { summarizeClaims } from './claims.ts';
import { formatTable } from './format-table.ts';
import { formatDuration, NOTHING } from './number-format.ts';
import type { ReportData } from './report-data.ts';
import { markdownTable } from './text-table.ts';

/** What was run, the claims with what each seed observed, and the table of results. */
export function markdownReport(data: ReportData): string {
  const { claims, run } = data;
  const { config, results } = run;
  const { device } = config;
  const seeds = `${config.seeds.length === 1 ? 'seed' : 'seeds'} ${config.seeds.join(', ')}`;
  const where = `${device.name}${device.simd === '' ? '' : ` (${device.simd})`}, ${device.threads} ${device.threads === 1 ? 'thread' : 'threads'}`;
  const about =
    `\`${config.command}\`: preset ${config.preset}, ${seeds}, ${formatDuration(results.seconds)} on ${where}, ` +
    `${config.environment.cpu}${results.state === 'complete' ? '' : ` (${results.state}: not all trials are finished)`}. ` +
    `${summarizeClaims(claims)}.`;
  return [about, claimsTable(data), formatTable(data, { format: 'markdown' })]
    .filter((part) => part !== '')
    .join('\n\n');
}

/**
 * Puts results between the markers of a README. The part that is replaced begins with the line
 * `<!-- fwp results: <experiment> <preset> -->` and ends with `<!-- fwp end -->`.
 *
 * @param readme text with the markers
 * @param name what the markers name, `'<experiment> <preset>'`
 * @param results Markdown
 * @throws UsageError if the README doesn't have the markers, or not the second, telling which to add
 */
export function updateReadme(readme: string, name: string, results: string): string {
  const begin = `${BEGIN} ${name} -->`;
  const from = readme.indexOf(begin);
  const to = readme.indexOf(END, from);
  // Without its own end, a part would take that of another, and all text up to there with it.
  const next = readme.indexOf(BEGIN, from + begin.length);
  if (from >= 0 && next >= 0 && next < to) {
    throw new UsageError(
      `The line ${begin} has no end: another part begins before ${END}. Add the line ${END} where these results end.`,
    );
  }
  if (from < 0 || to < 0) {
    throw new UsageError(
      `There is no place for these results. Add two lines to the file, and what is between them will be replaced:\n${begin}\n${END}`,
    );
  }
  return `${readme.slice(0, from)}${begin}\n\n${results}\n\n${readme.slice(to)}`;
}

const BEGIN = '<!-- fwp results:';
const END = '<!-- fwp end -->';

function claimsTable({ claims }: ReportData): string {
  if (claims.length === 0) return '';
  const rows = claims.map(({ text, pass, perSeed }) => [
    text,
    pass === null ? 'not measured' : pass ? '✓ holds' : '✗ fails',
    observed(perSeed.map((verdict) => [`seed ${verdict.seed}`, verdict.observed])),
  ]);
  return markdownTable([{ title: 'claim' }, { title: 'verdict' }, { title: 'observed' }], rows);
}

/** What all seeds observed is said once. */
function observed(perSeed: readonly (readonly [seed: string, observed: string])[]): string {
  const texts = new Set(perSeed.map(([, text]) => text));
  if (texts.size === 0) return NOTHING;
  if (texts.size === 1) return [...texts].join('');
  return perSeed.map(([seed, text]) => `${seed}: ${text}`).join('; ');
}
