/**
 * Measures one case on all peers, in turn: every round asks each peer for a short slice, the order is reversed from
 * round to round, and only one peer works at a time. A slice in which other programs were busy is measured again.
 */

import type { Case } from '../catalog.ts';
import { type Disagreement, disagreements } from './agreement.ts';
import { DISTURBING_LOAD, LoadMeter } from './calm.ts';
import { DeadlineError, type PeerProcess, UnsupportedError } from './peer-process.ts';
import { COARSE, type PeerName } from './peers.ts';
import type { Digest, Measured } from './protocol.ts';
import { median, minimum } from './statistics.ts';

/** How thoroughly to measure. */
export interface Effort {
  readonly rounds: number;
  /** Milliseconds per slice. */
  readonly slice: number;
  /** Milliseconds of warming up. */
  readonly warmUp: number;
  /** How often a disturbed slice is measured again, at most. */
  readonly retries: number;
  /** Milliseconds that setting up, checking and warming up may take; a peer that needs longer sits this case out. */
  readonly deadline: number;
}

export const FULL: Effort = { rounds: 9, slice: 60, warmUp: 150, retries: 8, deadline: 90_000 };
export const QUICK: Effort = { rounds: 3, slice: 40, warmUp: 60, retries: 0, deadline: 30_000 };

/** A call that takes longer (ms) is measured in three rounds only, or once. */
const SLOW = 1000;
const VERY_SLOW = 5000;
const DEFAULT_TOLERANCE = 1e-4;

/** How long a run may wait in all for other programs to become quiet; it goes down as it waits. */
export interface Patience {
  milliseconds: number;
}

/** What came of one peer. */
export type Outcome =
  | {
      readonly kind: 'measured';
      readonly median: number;
      readonly minimum: number;
      readonly samples: number;
      /** Time as a multiple of the yardstick's: the median over slices, in each of which both were measured. */
      readonly relative?: number;
    }
  | { readonly kind: 'unsupported'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** What came of one case. Times are milliseconds of one call. */
export interface CaseResult {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly disagreements: readonly Disagreement[];
  /** Slices that were taken, and those in which other programs were busy until the end. */
  readonly slices: number;
  readonly disturbedSlices: number;
}

/**
 * @param peers by name, the most trusted results first
 * @param yardstick a case that peers which have its program measure in the same slices
 */
export async function measureCase(
  benchmark: Case,
  peers: ReadonlyMap<string, PeerProcess>,
  effort: Effort,
  patience: Patience = { milliseconds: Number.POSITIVE_INFINITY },
  yardstick?: Case,
): Promise<CaseResult> {
  const outcomes = new Map<string, Outcome>();
  const digests = new Map<string, Digest>();
  const contestants: Contestant[] = [];
  for (const [name, peer] of peers) {
    if (benchmark.tooSlow?.includes(name.split('/')[0] as string)) {
      outcomes.set(name, { kind: 'unsupported', reason: 'left out: needs minutes' });
      continue;
    }
    try {
      const { program, parameters } = benchmark;
      const request = {
        program,
        parameters,
        warmUp: effort.warmUp,
        ...(yardstick && { yardstick: programOf(yardstick) }),
      };
      const { digest, call } = await peer.prepare(request, effort.deadline);
      digests.set(name, digest);
      contestants.push({ name, peer, call, calm: noSlices(), disturbed: noSlices() });
    } catch (error) {
      const reason = (error as Error).message;
      const absent = error instanceof UnsupportedError || error instanceof DeadlineError;
      outcomes.set(name, { kind: absent ? 'unsupported' : 'failed', reason });
      // Who failed may have kept what it made; the next case finds it started again.
      if (!absent) await peer.close();
    }
  }
  const wrong = disagreements(digests, (key) => toleranceOf(benchmark, key));
  const right = contestants.filter(({ name }) => !wrong.some(({ peer }) => peer === name));
  for (const { peer, reference, difference } of wrong) {
    const reason = `differs from ${reference} by ${difference.toExponential(1)} of the result's size`;
    outcomes.set(peer, { kind: 'failed', reason });
  }
  const counts = { slices: 0, disturbed: 0 };
  const allPids = [...peers.values()].filter(({ alive }) => alive).map(({ pid }) => pid);
  for (let round = 0; round < effort.rounds; round++) {
    const order = round % 2 === 0 ? right : [...right].reverse();
    for (const contestant of order) {
      if (outcomes.has(contestant.name) || !takesPart(contestant.call, round, effort.rounds)) continue;
      try {
        await takeSlice(contestant, effort, patience, counts, allPids);
      } catch (error) {
        // No room, a device that was lost: the others go on.
        outcomes.set(contestant.name, { kind: 'failed', reason: (error as Error).message });
        await contestant.peer.close();
      }
    }
  }
  for (const { name, calm, disturbed } of right) {
    if (outcomes.has(name)) continue;
    const { samples, relative } = calm.samples.length > 0 ? calm : disturbed;
    outcomes.set(name, {
      ...{ kind: 'measured', median: median(samples), minimum: minimum(samples), samples: samples.length },
      ...(relative.length > 0 ? { relative: median(relative) } : {}),
    });
  }
  for (const { peer } of contestants) if (peer.alive) await peer.release();
  return { outcomes, disagreements: wrong, slices: counts.slices, disturbedSlices: counts.disturbed };
}

function toleranceOf({ tolerance = DEFAULT_TOLERANCE }: Case, key: string): number {
  return Math.max(tolerance, COARSE[key.split('/')[0] as PeerName] ?? 0);
}

interface Contestant {
  readonly name: string;
  readonly peer: PeerProcess;
  /** Milliseconds of one call, roughly. */
  readonly call: number;
  readonly calm: Slices;
  /** Slices in which other programs were busy; used only if there are no others. */
  readonly disturbed: Slices;
}

interface Slices {
  /** Milliseconds of calls, of all slices together. */
  readonly samples: number[];
  /** For each slice, the median as a multiple of the yardstick's. */
  readonly relative: number[];
}

function noSlices(): Slices {
  return { samples: [], relative: [] };
}

function addSlice(slices: Slices, { samples, yardstick }: Measured): void {
  slices.samples.push(...samples);
  if (yardstick !== undefined) slices.relative.push(median(samples) / median(yardstick));
}

function programOf({ program, parameters }: Case): Pick<Case, 'program' | 'parameters'> {
  return { program, parameters };
}

function takesPart(call: number, round: number, rounds: number): boolean {
  if (call > VERY_SLOW) return round === 0;
  if (call > SLOW) return round === 0 || round === Math.floor(rounds / 2) || round === rounds - 1;
  return true;
}

async function takeSlice(
  contestant: Contestant,
  effort: Effort,
  patience: Patience,
  counts: { slices: number; disturbed: number },
  pids: readonly number[],
): Promise<void> {
  counts.slices++;
  for (let attempt = 0; ; attempt++) {
    const meter = new LoadMeter(pids);
    const measured = await contestant.peer.measure(effort.slice);
    const load = meter.foreignLoad();
    if (load === undefined || load <= DISTURBING_LOAD) {
      addSlice(contestant.calm, measured);
      return;
    }
    if (attempt >= effort.retries || contestant.call > SLOW || patience.milliseconds <= 0) {
      counts.disturbed++;
      addSlice(contestant.disturbed, measured);
      return;
    }
    const pause = 100 * 2 ** Math.min(attempt, 4);
    patience.milliseconds -= pause + effort.slice;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
