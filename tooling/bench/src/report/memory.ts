/** Is memory flat over thousands of training steps? */

import type { MemorySamples } from '../harness/protocol.ts';
import { median } from '../harness/statistics.ts';

/** What the memory test found for one device and thread count. */
export interface MemoryResult {
  readonly device: string;
  readonly threads: number;
  readonly steps: number;
  readonly milliseconds: number;
  /** Medians over the second and the last third of the run. */
  readonly residentBytes: readonly [middle: number, end: number];
  /** Live bytes of the heap after the first sample and at the end. */
  readonly liveBytes: readonly [begin: number, end: number];
  readonly tensors: readonly [begin: number, end: number];
  readonly flat: boolean;
}

/**
 * Growth of the resident memory from the middle to the last third of the samples that is taken for noise, as a
 * fraction. V8's own heap goes up and down in long waves: over 200,000 steps resident memory moved between 177 and
 * 245 MiB and ended where it had begun. What the engine itself holds is counted exactly, as live bytes and tensors.
 */
const RESIDENT_NOISE = 0.05;

/** Judges the samples: live bytes and tensors must not grow at all, resident memory not beyond noise. */
export function judgeMemory(device: string, threads: number, steps: number, samples: MemorySamples): MemoryResult {
  const { residentBytes, liveBytes, tensors, milliseconds } = samples;
  const third = Math.floor(residentBytes.length / 3);
  const middle = median(residentBytes.slice(third, 2 * third));
  const end = median(residentBytes.slice(-third));
  const live = [liveBytes[0] as number, liveBytes.at(-1) as number] as const;
  const count = [tensors[0] as number, tensors.at(-1) as number] as const;
  return {
    device,
    threads,
    steps,
    milliseconds,
    residentBytes: [middle, end],
    liveBytes: live,
    tensors: count,
    flat: end <= middle * (1 + RESIDENT_NOISE) && live[1] <= live[0] && count[1] <= count[0],
  };
}
