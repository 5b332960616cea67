/** A comparison as a page: the tables, and the curves of all runs in the same panels. */

import type { Cell, Chart } from '../experiment.ts';
import { type ChartModel, metricsChart, nameOf, resultsChart } from '../report/chart.ts';
import { type Html, html } from '../report/html.ts';
import { type MetricLine, readMetricLines } from '../report/metrics.ts';
import { captioned, chartFigure, page, section } from '../report/page.ts';
import type { TextCell } from '../report/text-table.ts';
import type { RunRecord } from '../run-folder.ts';
import { type Comparison, runNames } from './comparison.ts';
import { comparisonTables, type NamedTable } from './format-comparison.ts';

/** The whole page, self-contained. */
export async function comparisonPage(comparison: Comparison, runs: readonly RunRecord[]): Promise<string> {
  const title = runs[0]?.config.title ?? comparison.id;
  const [about, settings, measurements] = comparisonTables(comparison) as [NamedTable, NamedTable, NamedTable];
  const body = html`<header>
<p class="eyebrow">${comparison.id} · ${comparison.runs.length} runs</p>
<h1>${title}: runs compared</h1>
</header>
${section('runs', 'Runs', [table(about), table(settings)])}
${section('measurements', 'Measurements', table(measurements))}
${section('charts', 'Curves', (await charts(comparison, runs)).map(chartFigure))}
<footer>Made by @fwp/lab from ${comparison.runs.map(({ folder }) => folder).join(', ')}.</footer>`;
  return page(`${title}: runs compared`, body);
}

function table({ title, columns, rows }: NamedTable): Html | undefined {
  if (rows.length === 0) return undefined;
  const alignment = columns.map(({ align }) => (align === 'right' ? 'number' : ''));
  const cells = (row: readonly TextCell[]): Html[] =>
    row.map((cell, index) => {
      const text = typeof cell === 'string' ? cell : cell.text;
      return index === 0 ? html`<th scope="row">${text}</th>` : html`<td class="${alignment[index]}">${text}</td>`;
    });
  return captioned(
    title,
    html`<table class="results" aria-label="${title}">
<thead><tr>${columns.map((column, index) => html`<th scope="col" class="${alignment[index]}">${column.title}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody>
</table>`,
  );
}

/** The experiment's charts, with a panel for each of their curves and a curve for each run. */
async function charts({ keyFields }: Comparison, runs: readonly RunRecord[]): Promise<ChartModel[]> {
  const names = runNames(runs);
  const metrics = await Promise.all(runs.map(({ folder }) => readMetricLines(folder, keyFields)));
  const models: ChartModel[] = [];
  for (const chart of runs[0]?.config.report.charts ?? []) {
    const byRun: Chart = { ...chart, series: 'run', facet: 'panel' };
    const tag = <T extends Readonly<Record<string, Cell>>>(row: T, run: number) => ({
      ...row,
      run: names[run] as string,
      panel: panelName(row, chart),
    });
    const model =
      chart.from === 'results'
        ? resultsChart(
            byRun,
            runs.flatMap(({ results }, run) => results.rows.map((row) => tag(row, run))),
            [],
          )
        : metricsChart(
            byRun,
            metrics.flatMap((lines, run) => lines.map((line): MetricLine => ({ ...line, key: tag(line.key, run) }))),
          );
    if (model !== undefined) models.push(model);
  }
  return models;
}

function panelName(row: Readonly<Record<string, Cell>>, { facet, series }: Chart): string {
  return [series, ...(facet === undefined || facet === series ? [] : [facet])]
    .map((field) => nameOf(field, row[field] ?? null))
    .join(', ');
}
