/** Everything that a report shows, gathered from the run folder and, where it is known, from the experiment. */

import type { Chart, Experiment, Paper, PublishedRow, ReportLayout, Row } from '../experiment.ts';
import { type RunRecord, readRun } from '../run-folder.ts';
import { type Artifact, readArtifacts } from './artifacts.ts';
import { type ChartModel, metricsChart, resultsChart } from './chart.ts';
import { type ClaimResult, evaluateClaims } from './claims.ts';
import type { ComparisonInput } from './comparison-table.ts';
import { type MetricLine, readMetricLines } from './metrics.ts';

/** What a report is made from. */
export interface ReportData extends ComparisonInput {
  readonly run: RunRecord;
  readonly title: string;
  readonly description: string;
  readonly paper: Paper;
  readonly layout: ReportLayout;
  readonly claims: readonly ClaimResult[];
  readonly charts: readonly ChartModel[];
  readonly artifacts: readonly Artifact[];
}

/** What reports need of an experiment. */
export type ReportedExperiment = Pick<
  Experiment,
  'title' | 'description' | 'paper' | 'published' | 'claims' | 'report'
>;

/** The points of all curves of a report together. */
const MAX_POINTS = 24_000;
const MAX_CHARTS_WITHOUT_LAYOUT = 3;

/** Titles, layout, published numbers and claims are the experiment's, or those stored with the run if it isn't known. */
export async function gatherReportData(folder: string, experiment?: ReportedExperiment): Promise<ReportData> {
  const run = await readRun(folder);
  const { config, results } = run;
  const rows: readonly Row[] = results.rows;
  const layout = experiment?.report ?? config.report;
  const published = experiment?.published ?? results.published;
  const keyFields = keyFieldsOf(run, layout);
  const curves = Math.max(1, config.trials * config.seeds.length);
  const metrics = await readMetricLines(
    folder,
    keyFields,
    Math.max(24, Math.min(240, Math.round(MAX_POINTS / curves))),
  );
  return {
    run,
    title: experiment?.title ?? config.title,
    description: experiment?.description ?? config.description,
    paper: experiment?.paper ?? config.paper,
    layout,
    keyFields,
    rows,
    published,
    claims: experiment === undefined ? results.claims : evaluateClaims(experiment, rows),
    charts: chartsOf(layout, keyFields, rows, published, metrics),
    artifacts: await readArtifacts(folder),
  };
}

/** The fields of the trials' keys; before the first trial is finished, those that the layout names. */
export function keyFieldsOf({ results }: RunRecord, layout: ReportLayout): string[] {
  const fields = new Set(results.trials.flatMap(({ key }) => Object.keys(key)));
  if (fields.size === 0 && results.trials.length === 0) {
    for (const { series, facet } of layout.charts ?? [])
      for (const field of [series, facet]) if (field) fields.add(field);
    for (const field of [layout.rows, layout.columns]) if (field) fields.add(field);
  }
  return [...fields];
}

function chartsOf(
  layout: ReportLayout,
  keyFields: readonly string[],
  rows: readonly Row[],
  published: readonly PublishedRow[],
  metrics: readonly MetricLine[],
): ChartModel[] {
  const charts = layout.charts ?? [];
  const curves = charts.some(({ from }) => from === 'metrics') ? [] : learningCurves(layout, keyFields, metrics);
  return [...charts, ...curves].flatMap((chart) => {
    const model = chart.from === 'results' ? resultsChart(chart, rows, published) : metricsChart(chart, metrics);
    return model === undefined ? [] : [model];
  });
}

/** Where the layout has no learning curves, the first few quantities that were logged. */
function learningCurves(layout: ReportLayout, keyFields: readonly string[], metrics: readonly MetricLine[]): Chart[] {
  const fields = [...new Set(metrics.map(({ field }) => field))];
  const series = layout.columns ?? layout.rows;
  const facet = keyFields.find((field) => field !== series);
  return fields.slice(0, MAX_CHARTS_WITHOUT_LAYOUT).map((field) => ({
    title: `Training: ${field}`,
    from: 'metrics',
    x: 'step',
    y: field,
    series,
    ...(facet === undefined ? {} : { facet }),
  }));
}
