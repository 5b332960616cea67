/**
 * A file, or a part of one, as a sequence of bytes that are read where they are asked for. Only a small cache is in
 * memory, whatever the size of the file.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { TokenSource } from '../tokens.ts';
import { CorruptDataError } from './checksum.ts';

/** Bytes of a file; see {@link openByteFile}. */
export interface ByteFile extends TokenSource {
  /** Path of the file. */
  readonly path: string;
  read(begin: number, end: number): Uint8Array;
  /** Closes the file; nothing can be read after. */
  close(): void;
}

/** Bytes per cached block: large enough for a system call to pay, small enough for many parallel streams. */
const BLOCK = 1 << 16;
/** Blocks in the cache of a file: 8 MiB. */
const BLOCKS = 128;

/**
 * Opens a file, or the bytes from `begin` to before `end` of it.
 *
 * @throws RangeError if the file hasn't that many bytes
 */
export function openByteFile(path: string, begin = 0, end?: number): ByteFile {
  const descriptor = openSync(path, 'r');
  const size = fstatSync(descriptor).size;
  const stop = end ?? size;
  if (!(begin >= 0 && begin <= stop && stop <= size)) {
    closeSync(descriptor);
    throw new RangeError(`${path} has ${size} bytes; bytes ${begin} to ${stop} were asked for.`);
  }

  // In the order of their last use, the oldest first.
  const cache = new Map<number, Uint8Array>();
  const blockAt = (index: number): Uint8Array => {
    let block = cache.get(index);
    cache.delete(index);
    if (block === undefined) {
      block = readFully(index * BLOCK, Math.min(BLOCK, size - index * BLOCK));
      if (cache.size >= BLOCKS) cache.delete(cache.keys().next().value as number);
    }
    cache.set(index, block);
    return block;
  };
  const readFully = (position: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const count = readSync(descriptor, bytes, filled, length - filled, position + filled);
      if (count === 0)
        throw new CorruptDataError(
          path,
          `${path} ends at byte ${position + filled}; it had ${size} bytes when it was opened.`,
        );
      filled += count;
    }
    return bytes;
  };

  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  const read = (from: number, to: number): Uint8Array => {
    if (!isOpen) throw new Error(`${path} has been closed.`);
    if (!(from >= 0 && from <= to && to <= stop - begin)) {
      throw new RangeError(`${path}: bytes ${from} to ${to} were asked for, but there are ${stop - begin}.`);
    }
    const [first, last] = [begin + from, begin + to];
    // What would fill the cache by itself goes past it.
    if (last - first > (BLOCK * BLOCKS) / 4) return readFully(first, last - first);
    const index = Math.floor(first / BLOCK);
    if (last <= (index + 1) * BLOCK) return blockAt(index).subarray(first - index * BLOCK, last - index * BLOCK);
    const bytes = new Uint8Array(last - first);
    for (let position = first; position < last; ) {
      const block = Math.floor(position / BLOCK);
      const piece = blockAt(block).subarray(position - block * BLOCK, last - block * BLOCK);
      bytes.set(piece, position - first);
      position += piece.length;
    }
    return bytes;
  };
  return { path, length: stop - begin, read, close };
}
