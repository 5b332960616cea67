/** What goes wrong with files, disks and devices, in words. */

import { RunStoppedError } from './errors.ts';
import { shellWord } from './shell-word.ts';

/** An error of the file system in words: what, and where. */
export function fileProblem(error: unknown): string | undefined {
  const { code = '', path, message } = error as NodeJS.ErrnoException;
  const problem = FILE_PROBLEMS[code];
  return problem === undefined ? undefined : `${problem}: ${path ?? message}`;
}

/** Errors of the file system, and of devices that are lost or full, with what to do about them; all others as they are. */
export function withWayOut(error: unknown, folder: string): unknown {
  if (error instanceof Error && DEVICE_ERRORS.includes(error.name)) {
    const message = `${error.message} The run keeps its last checkpoint; go on with: fwp resume ${shellWord(folder)}`;
    return new RunStoppedError(message, { cause: error });
  }
  const problem = fileProblem(error);
  if (problem === undefined) return error;
  const message = `${problem}. Nothing that was written is lost; go on with: fwp resume ${shellWord(folder)}`;
  return new RunStoppedError(message, { cause: error });
}

/** By name, because `@fwp/core` is loaded only where something is computed. */
const DEVICE_ERRORS = ['DeviceLostError', 'OutOfMemoryError'];

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EFBIG: 'A file would exceed the limit of its size',
  EROFS: 'The disk is read-only',
  EACCES: 'Permission denied',
  EPERM: 'Permission denied',
  EIO: 'The disk reports an error',
};
