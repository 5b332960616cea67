/**
 * Who used the processors while something was measured? On a machine that others use too, a figure means something
 * only if they were quiet. Known on Linux only; elsewhere every slice counts as calm.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Processor time so far, in clock ticks. */
interface Ticks {
  /** Of the whole machine: not idle, and all. */
  readonly busy: number;
  readonly all: number;
  /** Of the processes that were asked about. */
  readonly own: number;
}

/** Load by others above which a slice is measured again, in processors. */
export const DISTURBING_LOAD = 0.15;

/** Counts the processor time of some processes and of all others. */
export class LoadMeter {
  readonly #pids: readonly number[];
  #begin: Ticks | undefined;

  /** @param pids processes whose work is expected */
  constructor(pids: readonly number[]) {
    this.#pids = [...pids, process.pid];
    this.#begin = this.#read();
  }

  /** Processors kept busy by other programs since the last call (or the beginning); undefined where it is not known. */
  foreignLoad(): number | undefined {
    const begin = this.#begin;
    const end = this.#read();
    this.#begin = end;
    if (begin === undefined || end === undefined || end.all <= begin.all) return undefined;
    const foreign = end.busy - begin.busy - (end.own - begin.own);
    return Math.max(0, foreign / (end.all - begin.all)) * availableParallelism();
  }

  #read(): Ticks | undefined {
    try {
      const machine = parseMachine(readFileSync('/proc/stat', 'utf8'));
      let own = 0;
      for (const pid of this.#pids) own += parseProcess(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      return { ...machine, own };
    } catch {
      return undefined;
    }
  }
}

/** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. */
export function parseMachine(text: string): { busy: number; all: number } {
  const line = text.slice(0, text.indexOf('\n'));
  const counts = line.split(/\s+/).slice(1, 9).map(Number);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return { busy: all - (counts[3] as number) - (counts[4] as number), all };
}

/** User and system time in /proc/<pid>/stat, after the name, which may hold anything. */
export function parseProcess(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
