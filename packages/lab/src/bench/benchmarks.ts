/**
 * Benchmarks that packages bring: what they look like, and how they are found.
 *
 * A package joins by `"fwp": { "bench": "<export path>" }` in its package.json; the module's export `benchmarks` is a
 * {@link Benchmarks}.
 */

import { UsageError } from '../errors.ts';
import { contributedModules } from '../registry.ts';
import { suggestion } from '../suggest.ts';

/** What a package with benchmarks exports as `benchmarks`. */
export interface Benchmarks {
  /** Names of groups of measurements. */
  readonly suites: readonly string[];
  /** Names of others, which are measured only where somebody asks for them: they need hardware that is rare, say. Default: none. */
  readonly onRequest?: readonly string[];
  /** Measures; messages and progress go to stderr. */
  run(options: BenchOptions): Promise<BenchReport>;
}

/** What is to be measured. */
export interface BenchOptions {
  /** Some of the package's suites, at least one. */
  readonly suites: readonly string[];
  /** Devices by name. Default: all that are there. */
  readonly devices?: readonly string[];
  /** Thread counts. Default: the package's. */
  readonly threads?: readonly number[];
  /** Whether to measure less, and less exactly. */
  readonly quick: boolean;
}

/** What was measured. */
export interface BenchReport {
  readonly rows: readonly BenchRow[];
  /** One sentence about each case or peer that failed. */
  readonly failures: readonly string[];
}

/** One figure of ours; the contract of `fwp bench --json`, to which packages may add fields. */
export interface BenchRow {
  readonly suite: string;
  readonly name: string;
  readonly device: string;
  readonly threads?: number;
  /** Median time, in `unit`. */
  readonly median: number;
  readonly unit: string;
  /** Medians of others in the same run, by name. */
  readonly peers: Readonly<Record<string, number>>;
  /** How many times faster ours is, by name. */
  readonly ratio: Readonly<Record<string, number>>;
  /** The rate as a fraction of what the device reaches at best, where that is known. */
  readonly peakFraction?: number;
}

/** What to say where there are no benchmarks. */
const NO_BENCHMARKS =
  'No package with benchmarks is a dependency of the project in this folder. Those of the @fwp packages are in their ' +
  "repository: in a checkout, run 'npm install' or 'npm start' once, and then 'npx fwp bench'.";

/** Benchmarks with the package that brings them. */
export interface FoundBenchmarks {
  readonly package: string;
  readonly benchmarks: Benchmarks;
}

/**
 * The benchmarks of the packages on which the project in `folder` depends.
 *
 * @param warn gets a sentence about each package that can't be loaded
 * @throws UsageError if there are none
 */
export async function findBenchmarks(folder: string, warn: (message: string) => void): Promise<FoundBenchmarks[]> {
  const { modules, problems } = await contributedModules(folder, 'bench');
  const found: FoundBenchmarks[] = [];
  for (const { module, origin } of modules) {
    if (isBenchmarks(module['benchmarks'])) found.push({ package: origin.package, benchmarks: module['benchmarks'] });
    else problems.push(`Package '${origin.package}': expected an export 'benchmarks' with 'suites' and 'run'.`);
  }
  problems.forEach(warn);
  if (found.length === 0) throw new UsageError(NO_BENCHMARKS);
  return found;
}

/**
 * Measures the wanted suites, package by package.
 *
 * @param wanted default (if empty): all but those on request
 * @throws UsageError if there is no such suite
 */
export async function runBenchmarks(
  found: readonly FoundBenchmarks[],
  wanted: readonly string[],
  options: Omit<BenchOptions, 'suites'>,
): Promise<BenchReport> {
  const known = found.flatMap(({ benchmarks }) => allSuites(benchmarks));
  for (const suite of wanted) {
    if (!known.includes(suite)) throw new UsageError(`There is no suite '${suite}'.${suggestion(suite, known)}`);
  }
  const rows: BenchRow[] = [];
  const failures: string[] = [];
  for (const { benchmarks } of found) {
    const suites =
      wanted.length === 0 ? benchmarks.suites : allSuites(benchmarks).filter((suite) => wanted.includes(suite));
    if (suites.length === 0) continue;
    const report = await benchmarks.run({ ...options, suites });
    rows.push(...report.rows);
    failures.push(...report.failures);
  }
  return { rows, failures };
}

/** Those on request included. */
export function allSuites({ suites, onRequest = [] }: Benchmarks): string[] {
  return [...suites, ...onRequest];
}

function isBenchmarks(value: unknown): value is Benchmarks {
  const { suites, run } = (value ?? {}) as Partial<Benchmarks>;
  return Array.isArray(suites) && typeof run === 'function';
}
