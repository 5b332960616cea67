/** The folder of a new run: which one, and that it may be used. */

import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from './errors.ts';
import { fileProblem } from './file-problems.ts';
import { lockRun } from './lock.ts';
import { type RunConfig, runPaths } from './run-folder.ts';
import { shellWord } from './shell-word.ts';
import { shortHash } from './trial-key.ts';

/** `runs/deltanet-capacity/quick-20260131-154502-3fa1`. */
export function defaultFolder({ id, preset, config, seeds, started }: Omit<RunConfig, 'source'>): string {
  const date = new Date(started);
  const digits = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${digits(date.getMonth() + 1)}${digits(date.getDate())}`;
  const time = `${digits(date.getHours())}${digits(date.getMinutes())}${digits(date.getSeconds())}`;
  return join('runs', id.replaceAll('/', '-'), `${preset}-${day}-${time}-${shortHash([config, seeds])}`);
}

/**
 * Makes the folder of a new run and locks it.
 *
 * @throws UsageError if it can't be one
 */
export async function prepareFolder(folder: string): Promise<() => void> {
  await assertNewFolder(folder);
  try {
    await mkdir(folder, { recursive: true });
    return await lockRun(folder);
  } catch (error) {
    const problem = fileProblem(error);
    throw problem === undefined ? error : new UsageError(`${problem}. Choose another folder with --out.`);
  }
}

async function assertNewFolder(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    throw code === 'ENOTDIR' ? new UsageError(`${folder} is not a folder.`) : error;
  }
  if (names.length === 0) return;
  if (existsSync(runPaths(folder).config)) {
    throw new UsageError(
      `There is a run in ${folder} already. Go on with it: fwp resume ${shellWord(folder)}; or choose another folder with --out.`,
    );
  }
  throw new UsageError(`${folder} isn't empty. Choose another folder with --out.`);
}
