/**
 * Files in the making. They are written under another name and get their own when they are complete. Writers put each byte
 * where it belongs and never shorten a file that another process may be writing too: as both write the same bytes, they
 * don't disturb each other, and whoever is first names the file.
 */

import { constants, existsSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';

/** Name of a file until it is complete. */
export function partOf(path: string): string {
  return `${path}.part`;
}

/** Writes pieces one after the other. */
export interface PartWriter {
  /** Where the next piece goes: bytes from the beginning of the file. */
  readonly position: number;
  write(piece: Uint8Array): Promise<void>;
  /** Closes the file; with `isComplete` it ends after the last piece, whatever was there before. */
  close(isComplete: boolean): Promise<void>;
}

/** Opens `<path>.part` to write it from `position` on. */
export async function writePart(path: string, position = 0): Promise<PartWriter> {
  const file: FileHandle = await open(partOf(path), constants.O_WRONLY | constants.O_CREAT);
  let end = position;
  return {
    get position() {
      return end;
    },
    async write(piece) {
      for (let written = 0; written < piece.length; ) {
        const { bytesWritten } = await file.write(piece, written, piece.length - written, end + written);
        written += bytesWritten;
      }
      end += piece.length;
    },
    async close(isComplete) {
      try {
        if (isComplete) await file.truncate(end);
      } finally {
        await file.close();
      }
    },
  };
}

/** Gives the complete file its name, unless another process has done so. */
export async function namePart(path: string): Promise<void> {
  await rename(partOf(path), path).catch((error: Error) => {
    if (!existsSync(path)) throw error;
  });
}
