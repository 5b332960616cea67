/**
 * Buffers of the GPU for tfjs's WebGPU backend, in the place of its own pool.
 *
 * Buffers that nobody uses any more are kept for others of their size, but not without end: sequences of many lengths would otherwise fill
 * the GPU with buffers of lengths that do not come again. Of those that are kept, the oldest is given first, whatever the order in which
 * they came back: so the steps of a training, which ask for the same sizes in the same order, get the same buffers for the same
 * things, and `dispatcher.ts` finds what it made of them.
 */

import { formatBytes, OutOfMemoryError } from '../errors.ts';

/** So many bytes the pool may always have. */
const ALWAYS = 2 ** 26;

/** Makes a buffer, or gives an error if the GPU says at once that it has no room. */
export type CreateBuffer = (descriptor: GPUBufferDescriptor) => GPUBuffer | OutOfMemoryError;

/** What is known of a buffer. */
interface Facts {
  /** In the order in which they were made. */
  readonly number: number;
  readonly size: number;
  /** Of size and usage. */
  readonly kind: number;
}

/** What tfjs's backend expects of its `bufferManager`. */
export class BufferPool {
  readonly #create: CreateBuffer;
  readonly #largest: number;
  readonly #used = new Set<GPUBuffer>();
  /** Nobody's, the longest unused first. */
  readonly #kept = new Set<GPUBuffer>();
  /** The same by size and usage, the oldest last. */
  readonly #keptByKind = new Map<number, GPUBuffer[]>();
  /** Of all buffers; to ask a buffer itself leaves JavaScript. */
  readonly #facts = new WeakMap<GPUBuffer, Facts>();
  #made = 0;
  /** Used ones that are not kept. */
  readonly #distrusted = new WeakSet<GPUBuffer>();
  #bytesUsed = 0;
  #bytesKept = 0;
  #mostUsed = 0;

  /**
   * @param create makes buffers
   * @param largest size of the largest one, in bytes
   */
  constructor(create: CreateBuffer, largest: number) {
    this.#create = create;
    this.#largest = largest;
  }

  /** A number that no other buffer of the pool has, ever. */
  numberOf(buffer: GPUBuffer): number {
    return this.#factsOf(buffer).number;
  }

  /** Bytes of a buffer; 0 if it is not from here. */
  sizeOf(buffer: GPUBuffer): number {
    return this.#facts.get(buffer)?.size ?? 0;
  }

  /** Bytes of the buffers that are in use. */
  get numBytesUsed(): number {
    return this.#bytesUsed;
  }

  /** Bytes of all buffers, those that are kept included. */
  get numBytesAllocated(): number {
    return this.#bytesUsed + this.#bytesKept;
  }

  /**
   * A buffer of undefined content.
   *
   * @param size in bytes
   * @param usage what for
   * @param mappedAtCreation whether a new one is mapped. One that was kept is not
   * @param reuse whether it may be one that was kept
   * @throws OutOfMemoryError if one buffer cannot be that large, or the GPU says at once that it has no room even when nothing is kept
   */
  acquireBuffer(size: number, usage: GPUBufferUsageFlags, mappedAtCreation = false, reuse = true): GPUBuffer {
    if (size > this.#largest) {
      throw new OutOfMemoryError(size, this.#bytesUsed, this.#largest, tooLarge(size, this.#largest));
    }
    const kept = reuse ? this.#take(size, usage) : undefined;
    const buffer = kept ?? this.#make({ size, usage, mappedAtCreation });
    this.#used.add(buffer);
    this.#bytesUsed += size;
    this.#mostUsed = Math.max(this.#mostUsed, this.#bytesUsed);
    return buffer;
  }

  /**
   * Takes a buffer back, which commands that were not submitted yet must not use. All buffers together have up to twice the bytes that were
   * ever in use at once, and 64 MiB at least: a training step finds its buffers again. The longest unused ones go first.
   *
   * @param buffer from {@link acquireBuffer}; another one is left alone
   * @param reuse whether it may be kept
   */
  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    if (!this.#used.delete(buffer)) return;
    const { size, kind } = this.#factsOf(buffer);
    this.#bytesUsed -= size;
    if (!reuse || this.#distrusted.has(buffer)) {
      buffer.destroy();
      return;
    }
    this.#kept.add(buffer);
    this.#bytesKept += size;
    const alike = this.#keptByKind.get(kind);
    if (alike === undefined) this.#keptByKind.set(kind, [buffer]);
    else alike.splice(this.#placeOf(buffer, alike), 0, buffer);
    this.#keep(Math.max(ALWAYS, 2 * this.#mostUsed) - this.#bytesUsed);
  }

  /**
   * Makes room after the GPU said that it had none: destroys what is kept, and will not keep what is in use, since one of these buffers is the one
   * for which there was no room.
   */
  startAfresh(): void {
    this.#keep(0);
    for (const buffer of this.#used) this.#distrusted.add(buffer);
  }

  /** Destroys all buffers. */
  dispose(): void {
    this.#keep(0);
    for (const buffer of this.#used) buffer.destroy();
    this.#used.clear();
    this.#bytesUsed = 0;
  }

  #make(descriptor: GPUBufferDescriptor): GPUBuffer {
    let made = this.#create(descriptor);
    if (made instanceof OutOfMemoryError) {
      this.#keep(0);
      made = this.#create(descriptor);
      if (made instanceof OutOfMemoryError) throw made;
    }
    const { size, usage } = descriptor;
    this.#facts.set(made, { number: this.#made++, size, kind: kindOf(size, usage) });
    return made;
  }

  #factsOf(buffer: GPUBuffer): Facts {
    return this.#facts.get(buffer) as Facts;
  }

  /** Where a buffer belongs among others, of which the oldest is the last. */
  #placeOf(buffer: GPUBuffer, others: readonly GPUBuffer[]): number {
    const number = this.numberOf(buffer);
    let begin = 0;
    let end = others.length;
    while (begin < end) {
      const middle = (begin + end) >> 1;
      if (this.numberOf(others[middle] as GPUBuffer) > number) begin = middle + 1;
      else end = middle;
    }
    return begin;
  }

  #take(size: number, usage: GPUBufferUsageFlags): GPUBuffer | undefined {
    const buffer = this.#keptByKind.get(kindOf(size, usage))?.pop();
    if (buffer === undefined) return undefined;
    this.#kept.delete(buffer);
    this.#bytesKept -= size;
    return buffer;
  }

  #keep(most: number): void {
    for (const buffer of this.#kept) {
      if (this.#bytesKept <= most) return;
      const { size, kind } = this.#factsOf(buffer);
      const alike = this.#keptByKind.get(kind) as GPUBuffer[];
      alike.splice(this.#placeOf(buffer, alike), 1);
      if (alike.length === 0) this.#keptByKind.delete(kind);
      this.#kept.delete(buffer);
      this.#bytesKept -= size;
      buffer.destroy();
    }
  }
}

/** One number for size and usage, which has ten bits. */
function kindOf(size: number, usage: GPUBufferUsageFlags): number {
  return size * 1024 + usage;
}

function tooLarge(size: number, limit: number): string {
  return (
    `Out of memory: a tensor of ${formatBytes(size)} was asked for, and one of this GPU may have ${formatBytes(limit)}. ` +
    'Use smaller batches.'
  );
}
