/** Whole files in Node.js: read in one piece, and written so that they appear complete or not at all. */

import { isNode } from '../engine/platform.ts';

/** Node reads at most 2 GiB at a time. */
const LONGEST_READ = 1 << 30;

/** The content of a file of any size. */
export async function readFile(path: string): Promise<Uint8Array> {
  const { open } = await fileSystem();
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    let offset = 0;
    while (offset < bytes.length) {
      const length = Math.min(bytes.length - offset, LONGEST_READ);
      const { bytesRead } = await file.read(bytes, offset, length, offset);
      if (bytesRead === 0) break;
      offset += bytesRead;
    }
    // A file that somebody shortens at this moment has fewer bytes than it said.
    return offset === bytes.length ? bytes : bytes.subarray(0, offset);
  } finally {
    await file.close();
  }
}

/**
 * Writes the parts one after the other to a temporary file beside `path`, flushes it to the disk and renames it. A
 * crash at any moment leaves either the old file or the new one. Missing folders are made.
 */
export async function writeFileAtomically(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const { mkdir, open, rename, unlink } = await fileSystem();
  const { basename, dirname, join } = await import('node:path');
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${temporaryFiles++}.tmp`);
  const file = await open(temporary, 'wx');
  try {
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await flushFolder(folder);
}

/** Distinguishes simultaneous writes of one process. */
let temporaryFiles = 0;

async function writeAll(file: import('node:fs/promises').FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const length = Math.min(bytes.length - offset, LONGEST_READ);
    offset += (await file.write(bytes, offset, length)).bytesWritten;
  }
}

/** Makes the new name itself survive a power failure; systems that cannot do that for folders are let off. */
async function flushFolder(folder: string): Promise<void> {
  const { open } = await fileSystem();
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows, and some network file systems.
  }
}

async function fileSystem(): Promise<typeof import('node:fs/promises')> {
  if (!isNode()) {
    throw new Error('Files need Node.js. In browsers use encodeSafetensors() and decodeSafetensors() with bytes.');
  }
  return import('node:fs/promises');
}
