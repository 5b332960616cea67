/** The results document: one row per case, device and thread count, with the peers' times beside ours. */

import type { Case } from '../catalog.ts';
import type { CaseResult, Outcome } from '../harness/measure.ts';
import { type Configuration, isComparable, keyOf } from '../harness/peers.ts';

/** One figure of ours. Times are medians, per call or (dispatch) per operation. */
export interface Row {
  readonly suite: string;
  readonly name: string;
  readonly device: string;
  readonly threads: number;
  readonly median: number;
  readonly minimum: number;
  readonly unit: 'ms' | 'µs';
  /** Medians by peer. Peers with threads have as many as we; tfjs has one. */
  readonly peers: Readonly<Record<string, number>>;
  /** How many times faster we are. */
  readonly ratio: Readonly<Record<string, number>>;
  /** Work per second, where work is counted: billions of operations, or of bytes. */
  readonly rate?: number;
  readonly rateUnit?: 'GFLOP/s' | 'GB/s';
  /** `rate` as a fraction of what this device and thread count reach at best; absent where there is no rate. */
  readonly peakFraction?: number;
  /** Where both operations and bytes are counted: billions of bytes per second, also as a fraction of the copy's rate. */
  readonly bandwidth?: number;
  readonly bandwidthFraction?: number;
  /** Another case, measured in the same slices: our time as a multiple of its time, and our rate as one of its rate. */
  readonly yardstick?: { readonly name: string; readonly time: number; readonly rate?: number };
}

/** A peer or device without a figure, and why. */
export interface Absence {
  readonly suite: string;
  readonly name: string;
  readonly who: string;
  readonly kind: 'unsupported' | 'failed';
  readonly reason: string;
}

/** Peak rates by configuration key, in `GFLOP/s` and `GB/s`. */
export type Peaks = ReadonlyMap<string, { readonly flops?: number; readonly bytes?: number }>;

/** Billions of operations or bytes per second at `milliseconds` per call. */
export function rateOf(benchmark: Case, threads: number, milliseconds: number): Pick<Row, 'rate' | 'rateUnit'> {
  const factor = benchmark.perThread === true ? threads : 1;
  if (benchmark.flops !== undefined) {
    return { rate: (benchmark.flops * factor) / milliseconds / 1e6, rateUnit: 'GFLOP/s' };
  }
  if (benchmark.bytes !== undefined) return { rate: (benchmark.bytes * factor) / milliseconds / 1e6, rateUnit: 'GB/s' };
  return {};
}

/** The rows of one case; `yardstick` is the case that was measured in the same slices. */
export function rowsOf(
  benchmark: Case,
  result: CaseResult,
  devices: readonly Configuration[],
  peers: readonly Configuration[],
  peaks: Peaks,
  yardstick?: Case,
): Row[] {
  const unit = benchmark.unit ?? 'ms';
  const scale = (unit === 'µs' ? 1000 : 1) / (benchmark.calls ?? 1);
  const rows: Row[] = [];
  for (const device of devices) {
    const own = measured(result.outcomes.get(keyOf(device)));
    if (own === undefined) continue;
    const times: Record<string, number> = {};
    const ratio: Record<string, number> = {};
    for (const peer of peers) {
      if (!isComparable(peer, device)) continue;
      const other = measured(result.outcomes.get(keyOf(peer)));
      if (other === undefined) continue;
      times[peer.name] = other.median * scale;
      ratio[peer.name] = other.median / own.median;
    }
    const rate = rateOf(benchmark, device.threads, own.median);
    const peak = peaks.get(keyOf(device))?.[benchmark.flops === undefined ? 'bytes' : 'flops'];
    rows.push({
      suite: benchmark.suite,
      name: benchmark.name,
      device: device.name,
      threads: device.threads,
      median: own.median * scale,
      minimum: own.minimum * scale,
      unit,
      peers: times,
      ratio,
      ...rate,
      ...(rate.rate === undefined || peak === undefined ? {} : { peakFraction: rate.rate / peak }),
      ...bandwidthOf(benchmark, own.median, peaks.get(keyOf(device))?.bytes),
      ...(yardstick === undefined || own.relative === undefined
        ? {}
        : { yardstick: comparison(benchmark, yardstick, device.threads, own.relative) }),
    });
  }
  return rows;
}

function bandwidthOf(
  { flops, bytes }: Case,
  milliseconds: number,
  peak: number | undefined,
): Pick<Row, 'bandwidth' | 'bandwidthFraction'> {
  if (flops === undefined || bytes === undefined) return {};
  const bandwidth = bytes / milliseconds / 1e6;
  return { bandwidth, ...(peak === undefined ? {} : { bandwidthFraction: bandwidth / peak }) };
}

function comparison(benchmark: Case, yardstick: Case, threads: number, time: number): NonNullable<Row['yardstick']> {
  const [ours, theirs] = [rateOf(benchmark, threads, time), rateOf(yardstick, threads, 1)];
  const comparable = ours.rate !== undefined && theirs.rate !== undefined && ours.rateUnit === theirs.rateUnit;
  return {
    name: yardstick.name,
    time,
    ...(comparable ? { rate: (ours.rate as number) / (theirs.rate as number) } : {}),
  };
}

/** Who has no figure in this case. Peak kernels are ours alone, so peers are not missed there. */
export function absencesOf(benchmark: Case, result: CaseResult): Absence[] {
  const { suite, name } = benchmark;
  if (suite === 'peaks') return [];
  return [...result.outcomes].flatMap(([who, outcome]) =>
    outcome.kind === 'measured' ? [] : [{ suite, name, who, kind: outcome.kind, reason: outcome.reason }],
  );
}

function measured(outcome: Outcome | undefined): Extract<Outcome, { kind: 'measured' }> | undefined {
  return outcome?.kind === 'measured' ? outcome : undefined;
}
