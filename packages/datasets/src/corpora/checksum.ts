/** Checksums of files, read in pieces. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** What a file must be: its checksum as `'<algorithm>:<hexadecimal digits>'`, for example `'sha256:86c4…'`, and its size. */
export interface FileIdentity {
  readonly checksum: `sha256:${string}` | `sha1:${string}`;
  readonly bytes?: number;
}

/**
 * Thrown for a file that is not what it should be, or is cut short. One with another checksum than is known of it was renamed to
 * `<path>.corrupt` and is not used.
 */
export class CorruptDataError extends Error {
  override name = 'CorruptDataError';
  /** Where the file is, or was; its name if it is part of an archive. */
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}

/** Files that were found to be right, with size and time of change, so that each is read only once in a process. */
const verified = new Map<string, string>();

/** Checksum of a file, with the algorithm in front. */
export async function checksumOf(path: string, algorithm: string): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return `${algorithm}:${hash.digest('hex')}`;
}

/**
 * Makes sure that a file is what it should be.
 *
 * @returns whether the file exists
 * @throws CorruptDataError if it is another file; it is then kept aside as `<path>.corrupt`
 */
export async function verifyFile(path: string, identity: FileIdentity): Promise<boolean> {
  try {
    const { size, mtimeMs } = await stat(path);
    const state = `${size} ${mtimeMs} ${identity.checksum}`;
    if (verified.get(path) === state) return true;
    const problem = await problemOf(path, size, identity);
    if (problem === undefined) {
      verified.set(path, state);
      return true;
    }
    await rename(path, `${path}.corrupt`);
    throw new CorruptDataError(path, `${path} ${problem}. It was kept aside as ${path}.corrupt and is not used.`);
  } catch (error) {
    // Also when another process has given it another name in the meantime.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function problemOf(path: string, size: number, { checksum, bytes }: FileIdentity): Promise<string | undefined> {
  if (bytes !== undefined && size !== bytes) return `has ${size} bytes where ${bytes} were expected`;
  const found = await checksumOf(path, checksum.slice(0, checksum.indexOf(':')));
  return found === checksum ? undefined : `has the checksum ${found} where ${checksum} was expected`;
}
