/** A whole run: starts the peers, measures case after case, and gathers the results. */

import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { CASES, type Case, GPU_SUITE, MEMORY_SUITE } from './catalog.ts';
import { type CaseResult, FULL, measureCase, QUICK } from './harness/measure.ts';
import { PeerProcess } from './harness/peer-process.ts';
import {
  availablePeers,
  type Configuration,
  commandFor,
  configurations,
  DEVICES,
  defaultDevices,
  GPU_PEERS,
  hasNativeKernels,
  keyOf,
  PEERS,
  PeerPool,
} from './harness/peers.ts';
import { type Options, UsageError } from './options.ts';
import { Progress } from './progress.ts';
import type { ResultsDocument } from './report/document.ts';
import { judgeMemory, type MemoryResult } from './report/memory.ts';
import { absencesOf, type Peaks, rateOf, rowsOf } from './report/rows.ts';

const MEMORY_STEPS = 10_000;
const QUICK_MEMORY_STEPS = 1000;
const MEMORY_SAMPLES = 100;
/** The memory test and a training step take about so many times as long as a single operation. */
const LONG = 6;

/**
 * Measures what the options ask for.
 *
 * @throws Error if a peer does not start
 */
export async function runBenchmarks(options: Options): Promise<ResultsDocument> {
  const begin = new Date();
  const onGpu = options.suites.every((suite) => suite === GPU_SUITE);
  const wanted = options.peers ?? PEERS.filter((name) => GPU_PEERS.includes(name) === onGpu);
  const { peers, python } = availablePeers(wanted, (name, why) =>
    process.stderr.write(`${why}. Peer '${name}' is left out.\n`),
  );
  if (options.devices === undefined && !onGpu && !hasNativeKernels()) {
    process.stderr.write('The native kernels were not built (no C compiler?): native is left out.\n');
  }
  const all = configurations(options.devices ?? defaultDevices(onGpu), peers, options.threads);
  const pool = new PeerPool(new Map(all.map((entry) => [keyOf(entry), commandFor(entry, python)])));
  try {
    return await measureAll(options, all, pool, begin);
  } finally {
    await pool.close();
  }
}

async function measureAll(
  options: Options,
  all: readonly Configuration[],
  pool: PeerPool,
  begin: Date,
): Promise<ResultsDocument> {
  const effort = options.quick ? QUICK : FULL;
  const devices = all.filter(({ name }) => (DEVICES as readonly string[]).includes(name));
  const peers = all.filter((entry) => !devices.includes(entry));
  // The peaks are always measured: they are what the other figures are fractions of.
  const peakCases = CASES.filter(({ suite }) => suite === 'peaks');
  const others = CASES.filter(
    ({ suite, name, quick = true }) =>
      suite !== 'peaks' &&
      options.suites.includes(suite) &&
      (options.cases?.test(name) ?? true) &&
      (quick || !options.quick),
  );
  if (others.length === 0 && options.cases !== undefined) {
    throw new UsageError(`--cases: no case of ${options.suites.join(', ')} matches ${options.cases}.`);
  }
  const chosen = [...peakCases, ...others];
  const withMemory = options.suites.includes(MEMORY_SUITE);
  const work = chosen.reduce((sum, benchmark) => sum + workOf(benchmark), 0);
  const progress = new Progress(work + (withMemory ? devices.length * LONG : 0));
  const results: { benchmark: Case; result: CaseResult }[] = [];
  const patience = { milliseconds: options.patience };
  progress.show('starting the peers');
  for (const benchmark of chosen) {
    const running = await pool.running();
    progress.show(`${benchmark.suite}: ${benchmark.name}`);
    const taking = benchmark.suite === 'peaks' ? only(running, devices) : running;
    const result = await measureCase(benchmark, taking, effort, patience, yardstickOf(benchmark));
    results.push({ benchmark, result });
    progress.advance(workOf(benchmark));
  }
  const peaks = peaksOf(results, devices);
  const memory: MemoryResult[] = [];
  if (withMemory) {
    const steps = options.quick ? QUICK_MEMORY_STEPS : MEMORY_STEPS;
    for (const entry of devices) {
      progress.show(`memory: ${keyOf(entry)}, ${steps} training steps`);
      // A fresh process: nothing that ran before is in its memory.
      const peer = await PeerProcess.start(commandFor(entry, ''));
      pool.identities.set(keyOf(entry), peer.identity);
      const samples = await peer.memory(steps, steps / MEMORY_SAMPLES);
      await peer.close();
      memory.push(judgeMemory(entry.name, entry.threads, steps, samples));
      progress.advance(LONG);
    }
  }
  progress.clear();
  return {
    format: 1,
    date: begin.toISOString(),
    seconds: (Date.now() - begin.getTime()) / 1000,
    quick: options.quick,
    ...(options.note === undefined ? {} : { notes: [options.note] }),
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      processors: cpus().length,
      memoryBytes: totalmem(),
      system: `${type()} ${release().split('-')[0]}`,
    },
    versions: versions(pool),
    peers: Object.fromEntries(pool.identities),
    slices: results.reduce((sum, { result }) => sum + result.slices, 0),
    disturbedSlices: results.reduce((sum, { result }) => sum + result.disturbedSlices, 0),
    rows: results.flatMap(({ benchmark, result }) =>
      rowsOf(benchmark, result, devices, peers, peaks, yardstickOf(benchmark)),
    ),
    memory,
    absences: results.flatMap(({ benchmark, result }) => absencesOf(benchmark, result)),
  };
}

function workOf({ suite }: Case): number {
  return suite === 'training' ? LONG : 1;
}

/** @throws Error if no case has the name */
function yardstickOf({ name, yardstick }: Case): Case | undefined {
  if (yardstick === undefined) return undefined;
  const found = CASES.find((other) => other.name === yardstick);
  if (found === undefined) throw new Error(`Case '${name}' is compared with '${yardstick}', which is no case.`);
  return found;
}

function only(
  running: ReadonlyMap<string, PeerProcess>,
  entries: readonly Configuration[],
): ReadonlyMap<string, PeerProcess> {
  const keys = new Set(entries.map(keyOf));
  return new Map([...running].filter(([key]) => keys.has(key)));
}

/** The best rates ever seen in the peak kernels (those of the fastest samples) count as the peaks. */
function peaksOf(
  results: readonly { benchmark: Case; result: CaseResult }[],
  devices: readonly Configuration[],
): Peaks {
  const peaks = new Map<string, { flops?: number; bytes?: number }>();
  for (const { benchmark, result } of results) {
    if (benchmark.suite !== 'peaks') continue;
    const kind = benchmark.flops === undefined ? 'bytes' : 'flops';
    for (const entry of devices) {
      const key = keyOf(entry);
      const outcome = result.outcomes.get(key);
      if (outcome?.kind !== 'measured') continue;
      const rate = rateOf(benchmark, entry.threads, outcome.minimum).rate ?? 0;
      const known = peaks.get(key);
      peaks.set(key, { ...known, [kind]: Math.max(rate, known?.[kind] ?? 0) });
    }
  }
  return peaks;
}

function versions(pool: PeerPool): Record<string, string> {
  const git = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname, encoding: 'utf8' });
  const result: Record<string, string> = { node: process.versions.node };
  if (git.status === 0) result['@fwp/core'] = git.stdout.trim();
  for (const [key, { version }] of pool.identities) {
    const name = key.split('/')[0] as string;
    if (!(DEVICES as readonly string[]).includes(name)) result[name] = version;
  }
  return result;
}
