/** Progress on the error output: a line that renews itself on a terminal, plain lines in a pipe. */

import { duration } from './report/format.ts';

/** Counts work and guesses how long the rest takes. */
export class Progress {
  readonly #total: number;
  readonly #begin = performance.now();
  #done = 0;

  /** @param total work in any unit */
  constructor(total: number) {
    this.#total = total;
  }

  /** Says what begins now. */
  show(text: string): void {
    const elapsed = (performance.now() - this.#begin) / 1000;
    const rest = this.#done > 0 ? `, ${duration((elapsed / this.#done) * (this.#total - this.#done))} left` : '';
    const line = `[${Math.round((this.#done / this.#total) * 100)} %, ${duration(elapsed)}${rest}] ${text}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
    else process.stderr.write(`${line}\n`);
  }

  /** Counts finished work. */
  advance(work: number): void {
    this.#done += work;
  }

  /** Removes the line from a terminal. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}
