/**
 * `@fwp/lab`: experiments with schema-checked configurations, resumable runs, executable claims and reports.
 *
 * @packageDocumentation
 */

export { InterruptedError, NonFiniteError, UsageError } from './errors.ts';
export {
  type Cell,
  type Chart,
  type Claim,
  defineExperiment,
  type Experiment,
  type Measurements,
  type Paper,
  type Preset,
  type PublishedRow,
  type ReportLayout,
  type Row,
  type StepsOptions,
  type TrialContext,
  type TrialKey,
  type Verdict,
} from './experiment.ts';
export { type ClaimResult, evaluateClaims, type SeedVerdict, summarizeClaims } from './report/claims.ts';
export type { ComparisonInput } from './report/comparison-table.ts';
export { type FormatTableOptions, formatTable } from './report/format-table.ts';
export {
  type Environment,
  type ExperimentSource,
  type FinishedTrial,
  type MetricsLine,
  type Results,
  type RunConfig,
  type RunRecord,
  type RunState,
  readMetrics,
  readRun,
} from './run-folder.ts';
