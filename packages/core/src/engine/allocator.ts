/**
 * The heap's allocator: where in the linear memory each tensor lies.
 *
 * Training asks for the same sizes again and again, so a freed block goes to a stack of its own size class and
 * the next request of that class takes it back: two array operations, no search. Classes are 64 bytes apart up
 * to 1 KiB, then eight to a doubling, so at most an eighth is lost. Only when a class is empty and a good part
 * of the heap is free in other classes are neighbouring free blocks joined and searched for the best fit; else
 * the heap's end moves up.
 */

import { OutOfMemoryError } from '../errors.ts';

/** Alignment of every block in bytes: one cache line, one AVX-512 vector. */
export const ALIGNMENT = 64;

/** Numbers that describe the heap's state, in bytes unless said otherwise. */
export interface HeapStatistics {
  /** In use by live blocks. */
  liveBytes: number;
  /** Largest `liveBytes` so far. */
  peakBytes: number;
  /** Freed and kept for reuse. */
  freeBytes: number;
  /** Number of live blocks. */
  liveBlocks: number;
  /** Addressable memory taken from the system so far. */
  heapBytes: number;
  /** The most that the heap may take. */
  limitBytes: number;
}

/** Hands out blocks of `[base, limit)`; the memory behind them is extended through `grow`. */
export class HeapAllocator {
  readonly #base: number;
  readonly #limit: number;
  readonly #grow: (bytes: number) => number;
  /** Freed blocks by size class: stacks of offsets. */
  readonly #freeByClass = new Map<number, number[]>();
  /** Joined free blocks that are not in a class, sorted by offset. */
  #joined: { offset: number; bytes: number }[] = [];
  #end: number;
  #heapBytes: number;
  #liveBytes = 0;
  #peakBytes = 0;
  #freeBytes = 0;
  #liveBlocks = 0;

  /**
   * @param base first usable byte
   * @param heapBytes bytes that are addressable now
   * @param limit the heap may not exceed this many bytes
   * @param grow makes at least so many bytes addressable and returns how many are
   */
  constructor(base: number, heapBytes: number, limit: number, grow: (bytes: number) => number) {
    this.#base = roundUp(base, ALIGNMENT);
    this.#end = this.#base;
    this.#heapBytes = heapBytes;
    this.#limit = limit;
    this.#grow = grow;
  }

  /**
   * Returns the offset of a new block of at least `bytes` bytes; its content is undefined.
   *
   * @throws OutOfMemoryError if the limit would be exceeded
   */
  allocate(bytes: number): number {
    const size = blockBytes(bytes);
    const free = this.#freeByClass.get(size);
    let offset: number;
    if (free !== undefined && free.length > 0) {
      offset = free.pop() as number;
      this.#freeBytes -= size;
    } else {
      offset = this.#allocateNew(size);
    }
    this.#liveBytes += size;
    this.#liveBlocks++;
    if (this.#liveBytes > this.#peakBytes) this.#peakBytes = this.#liveBytes;
    return offset;
  }

  /** Gives back a block; `bytes` is what was asked for. */
  free(offset: number, bytes: number): void {
    const size = blockBytes(bytes);
    let free = this.#freeByClass.get(size);
    if (free === undefined) {
      free = [];
      this.#freeByClass.set(size, free);
    }
    free.push(offset);
    this.#freeBytes += size;
    this.#liveBytes -= size;
    this.#liveBlocks--;
  }

  statistics(): HeapStatistics {
    return {
      liveBytes: this.#liveBytes,
      peakBytes: this.#peakBytes,
      freeBytes: this.#freeBytes,
      liveBlocks: this.#liveBlocks,
      heapBytes: this.#heapBytes,
      limitBytes: this.#limit,
    };
  }

  #allocateNew(size: number): number {
    if (this.#freeBytes >= size && this.#freeBytes * 4 >= this.#end - this.#base) {
      const offset = this.#takeBestFit(size) ?? this.#joinAndTake(size);
      if (offset !== undefined) return offset;
    }
    if (this.#end + size > this.#heapBytes && !this.#extend(this.#end + size)) {
      const offset = this.#joinAndTake(size);
      if (offset !== undefined) return offset;
      throw new OutOfMemoryError(size, this.#liveBytes, this.#limit);
    }
    const offset = this.#end;
    this.#end += size;
    return offset;
  }

  #extend(bytes: number): boolean {
    if (bytes > this.#limit) return false;
    // Ahead of need by an eighth, so that a growing program does not extend at every step.
    const wanted = Math.min(this.#limit, Math.max(bytes, this.#heapBytes + this.#heapBytes / 8));
    this.#heapBytes = Math.max(this.#heapBytes, this.#grow(wanted));
    if (bytes > this.#heapBytes && wanted > bytes) this.#heapBytes = Math.max(this.#heapBytes, this.#grow(bytes));
    return bytes <= this.#heapBytes;
  }

  /** Moves all free blocks out of their classes, joins neighbours, and takes the best fit. */
  #joinAndTake(size: number): number | undefined {
    const blocks = this.#joined;
    for (const [bytes, offsets] of this.#freeByClass) {
      for (const offset of offsets) blocks.push({ offset, bytes });
    }
    this.#freeByClass.clear();
    blocks.sort((a, b) => a.offset - b.offset);
    const joined: { offset: number; bytes: number }[] = [];
    for (const block of blocks) {
      const last = joined[joined.length - 1];
      if (last !== undefined && last.offset + last.bytes === block.offset) last.bytes += block.bytes;
      else joined.push(block);
    }
    const last = joined[joined.length - 1];
    if (last !== undefined && last.offset + last.bytes === this.#end) {
      this.#end = last.offset;
      this.#freeBytes -= last.bytes;
      joined.pop();
    }
    this.#joined = joined;
    return this.#takeBestFit(size) ?? this.#takeFromEnd(size);
  }

  #takeFromEnd(size: number): number | undefined {
    if (this.#end + size > this.#heapBytes) return undefined;
    const offset = this.#end;
    this.#end += size;
    return offset;
  }

  #takeBestFit(size: number): number | undefined {
    let best = -1;
    for (let i = 0; i < this.#joined.length; i++) {
      const bytes = (this.#joined[i] as { bytes: number }).bytes;
      if (bytes >= size && (best < 0 || bytes < (this.#joined[best] as { bytes: number }).bytes)) best = i;
    }
    if (best < 0) return undefined;
    const block = this.#joined[best] as { offset: number; bytes: number };
    const offset = block.offset;
    block.offset += size;
    block.bytes -= size;
    if (block.bytes === 0) this.#joined.splice(best, 1);
    this.#freeBytes -= size;
    return offset;
  }
}

/** The size of the block that serves a request of `bytes` bytes: its size class. */
export function blockBytes(bytes: number): number {
  if (bytes <= 1024) return bytes <= ALIGNMENT ? ALIGNMENT : roundUp(bytes, ALIGNMENT);
  const step = 2 ** Math.max(6, Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
