/** Counts of one test runner; `note` says why something was skipped as a whole, `failures` what failed and how. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  note?: string;
  failures?: string[];
}
export interface ResultRow extends Counts {
  package: string;
  runner: string;
}
export function writeResults(packageDir: string, runner: string, counts: Counts): void;
export function clearResults(root: string): void;
export function readResults(root: string): ResultRow[];
export function sumResults(rows: Counts[]): Counts;
export function formatResults(rows: ResultRow[]): string;
export function totalLine(counts: Counts): string;
