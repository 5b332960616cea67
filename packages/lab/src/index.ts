/**
 * `@fwp/lab`: experiments with schema-checked configurations, resumable runs, executable claims and reports.
 *
 * @packageDocumentation
 */

export type { Benchmarks, BenchOptions, BenchReport, BenchRow } from './bench/benchmarks.ts';
export {
  checkDevice,
  type DeviceCheck,
  type DeviceCheckOptions,
  type TensorDifference,
  type TrialCheck,
} from './check/check-device.ts';
export {
  type ComparedRow,
  type ComparedRun,
  type ComparedValue,
  type Comparison,
  compareRuns,
  type DifferingSetting,
  readRuns,
} from './compare/comparison.ts';
export { defineExperiment } from './define-experiment.ts';
export { type DryRun, type DryRunTrial, dryRun } from './dry-run.ts';
export { InterruptedError, NonFiniteError, RunStoppedError, UsageError } from './errors.ts';
export type {
  Cell,
  Chart,
  Claim,
  DeepPartial,
  Experiment,
  ExperimentDefinition,
  Measurements,
  Paper,
  Preset,
  PublishedRow,
  ReportLayout,
  Row,
  StepsOptions,
  TrialContext,
  TrialKey,
  Verdict,
} from './experiment.ts';
export type { RunOptions } from './plan.ts';
export {
  type LoopInfo,
  type Progress,
  type ProgressOutput,
  quietProgress,
  type RunInfo,
  textProgress,
} from './progress.ts';
export { readScalar, readValues } from './read-values.ts';
export {
  type ExperimentOrigin,
  type FoundExperiment,
  findExperiment,
  loadRegistry,
  type Registry,
} from './registry.ts';
export { type ClaimResult, evaluateClaims, type SeedVerdict, summarizeClaims } from './report/claims.ts';
export type { ComparisonInput } from './report/comparison-table.ts';
export { type FormatTableOptions, formatTable } from './report/format-table.ts';
export { metricsLines } from './report/metrics.ts';
export type { ReportedExperiment } from './report/report-data.ts';
export { writeReport } from './report/write-report.ts';
export { resumeRun, runExperiment } from './run.ts';
export { type RunDocument, runDocument } from './run-document.ts';
export {
  type Environment,
  type ExperimentSource,
  type FinishedTrial,
  type MetricsLine,
  type Results,
  type RunConfig,
  type RunRecord,
  type RunState,
  readRun,
} from './run-folder.ts';
export type { SessionOptions } from './session.ts';
export { exportTensorBoard, type TensorBoardExport } from './tensorboard/export.ts';
