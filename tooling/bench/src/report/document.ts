/** Everything that a run finds out: what `--json` writes and the tables are made from. */

import type { Identity } from '../harness/protocol.ts';
import type { MemoryResult } from './memory.ts';
import type { Absence, Row } from './rows.ts';

/** The results of one run. */
export interface ResultsDocument {
  readonly format: 1;
  /** ISO date and time of the start. */
  readonly date: string;
  readonly seconds: number;
  readonly quick: boolean;
  /** Circumstances that a reader must know. */
  readonly notes?: readonly string[];
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    readonly memoryBytes: number;
    readonly system: string;
  };
  readonly versions: Readonly<Record<string, string>>;
  /** Who computed, by `name/threads`. */
  readonly peers: Readonly<Record<string, Identity>>;
  /** Measured slices, and those that other programs disturbed to the end. */
  readonly slices: number;
  readonly disturbedSlices: number;
  readonly rows: readonly Row[];
  readonly memory: readonly MemoryResult[];
  readonly absences: readonly Absence[];
}
