/**
 * The files of a folder as one text: source code, notes, books. Every twentieth file is for validation, every twentieth for
 * test, so that all parts hold text of the same kind; within a part the files follow one another in the order of their paths.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Split } from '../task.ts';
import { MissingDataError } from './corpus.ts';

/** Options of {@link folderText}. */
export interface FolderTextOptions {
  /** Whether a file is read, by its path in the folder, with `/` between names. Default: all files. */
  readonly accept?: (path: string) => boolean;
  /** Makes the text of a file what it is to be; for example without a licence that every file repeats. Default: as it is. */
  readonly clean?: (text: string) => string;
}

/** Of so many files in a row, one is for validation and one for test. */
const ROUND = 20;

/**
 * Reads the files of a folder and of its subfolders into memory.
 *
 * @param folder path of the folder
 * @param options which files, and what of them
 * @returns UTF-8 bytes of each part
 * @throws MissingDataError if a part would be empty
 * @throws Error if something can't be read
 */
export function folderText(
  folder: string,
  { accept = () => true, clean = (text) => text }: FolderTextOptions = {},
): Readonly<Record<Split, Uint8Array>> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length).replaceAll(sep, '/'))
    .filter(accept)
    .sort((a, b) => (a < b ? -1 : 1));
  const splitOf = (i: number): Split => {
    if (i % ROUND === ROUND / 2) return 'validation';
    return i % ROUND === ROUND - 1 ? 'test' : 'train';
  };
  const partOf = (split: Split): Uint8Array => {
    const files = paths.filter((_, i) => splitOf(i) === split);
    const bytes = Buffer.from(files.map((path) => clean(textOf(join(folder, path)))).join(''));
    if (bytes.length > 0) return new Uint8Array(bytes);
    throw new MissingDataError(
      `${folder} has ${paths.length} files that count as its text, too few for one in ${ROUND} to be for ${split}; ` +
        'use another folder or accept more files.',
    );
  };
  return { train: partOf('train'), validation: partOf('validation'), test: partOf('test') };
}

/** Text of a file, without the byte order mark that editors of some systems begin files with. */
function textOf(path: string): string {
  return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
}
