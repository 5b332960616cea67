/** Appends to `metrics.jsonl`: lines are collected and written together; what a checkpoint covers is on the disk before it. */

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { MetricsLine } from './run-folder.ts';

/** Lines are written once they are so many characters together. */
const BUFFER_LENGTH = 1 << 16;

/** The metrics file of a run. */
export class MetricsWriter {
  readonly #path: string;
  readonly #file: number;
  /** Once a write has failed, the file is good for nothing but being truncated. */
  #failure: unknown;
  #buffer = '';
  #bytes: number;

  /**
   * Opens the file, or makes it.
   *
   * @param path of `metrics.jsonl`
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'a');
    this.#bytes = fstatSync(this.#file).size;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line. */
  add(line: MetricsLine): void {
    this.#buffer += `${JSON.stringify(line)}\n`;
    if (this.#buffer.length >= BUFFER_LENGTH) this.flush();
  }

  /** Hands all lines to the operating system. */
  flush(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#buffer === '') return;
    const bytes = new TextEncoder().encode(this.#buffer);
    this.#buffer = '';
    try {
      let offset = 0;
      while (offset < bytes.length) offset += writeSync(this.#file, bytes, offset);
    } catch (error) {
      this.#failure = Object.assign(error as Error, { path: this.#path });
      throw this.#failure;
    }
    this.#bytes += bytes.length;
  }

  /** Makes all lines survive a power failure. */
  sync(): void {
    this.flush();
    fsyncSync(this.#file);
  }

  /**
   * Drops everything behind the first `bytes` bytes.
   *
   * @returns whether the file had that many
   */
  truncate(bytes: number): boolean {
    this.#buffer = '';
    if (this.#bytes < bytes) return false;
    ftruncateSync(this.#file, bytes);
    this.#bytes = bytes;
    return true;
  }

  /** Closes the file; what wasn't flushed is lost. */
  close(): void {
    closeSync(this.#file);
  }
}
