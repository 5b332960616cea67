/**
 * A folder that is there completely or not at all: it is built beside its place, and takes that place when it is done.
 * Whatever goes wrong before leaves what was there, and nothing else.
 */

import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Builds a folder.
 *
 * @param place where it will be; a folder that is there is replaced
 * @param build fills the folder that it's given, which lies beside the place
 */
export async function stageFolder<Result>(place: string, build: (folder: string) => Promise<Result>): Promise<Result> {
  await removeLeftovers(place);
  const staged = `${place}.new-${process.pid}`;
  const old = `${place}.old-${process.pid}`;
  await mkdir(staged, { recursive: true });
  try {
    const result = await build(staged);
    if (existsSync(place)) await rename(place, old);
    try {
      await rename(staged, place);
    } catch (error) {
      if (existsSync(old)) await rename(old, place);
      throw error;
    }
    await rm(old, { recursive: true, force: true });
    return result;
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}

/** What processes that were killed left beside the place. */
async function removeLeftovers(place: string): Promise<void> {
  const names = await readdir(dirname(place)).catch(() => []);
  for (const name of names) {
    const process = /^\.(?:new|old)-(\d+)$/.exec(
      name.startsWith(basename(place)) ? name.slice(basename(place).length) : '',
    );
    if (process === null || isAlive(Number(process[1]))) continue;
    const left = join(dirname(place), name);
    // Killed between two renames: what was there before is all there is.
    if (name.includes('.old-') && !existsSync(place)) await rename(left, place);
    else await rm(left, { recursive: true, force: true });
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
