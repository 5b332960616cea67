/** What goes wrong with files and disks, in words. */

import { RunStoppedError } from './errors.ts';
import { shellWord } from './shell-word.ts';

/** An error of the file system in words: what, and where. */
export function fileProblem(error: unknown): string | undefined {
  const { code = '', path, message } = error as NodeJS.ErrnoException;
  const problem = FILE_PROBLEMS[code];
  return problem === undefined ? undefined : `${problem}: ${path ?? message}`;
}

/** Errors of the file system, with what to do about them; all others as they are. */
export function withWayOut(error: unknown, folder: string): unknown {
  const problem = fileProblem(error);
  if (problem === undefined) return error;
  const message = `${problem}. Nothing that was written is lost; go on with: fwp resume ${shellWord(folder)}`;
  return new RunStoppedError(message, { cause: error });
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EFBIG: 'A file would exceed the limit of its size',
  EROFS: 'The disk is read-only',
  EACCES: 'Permission denied',
  EPERM: 'Permission denied',
  EIO: 'The disk reports an error',
};
