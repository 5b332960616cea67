/** Keeps two processes from working on one run: `lock.json` in its folder says who does. */

import { readFileSync, unlinkSync } from 'node:fs';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { UsageError } from './errors.ts';
import { runPaths } from './run-folder.ts';

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
}

/**
 * Takes the lock of a run folder. The lock of a process that isn't there any more is taken over.
 *
 * @returns gives the lock back; ends of the process that Node.js sees do so too
 * @throws UsageError if another process works on the run
 */
export async function lockRun(folder: string): Promise<() => void> {
  const path = runPaths(folder).lock;
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() } satisfies Holder);
  while (!(await createFile(path, mine))) {
    const text = await readLock(path);
    const holder = parseHolder(text);
    if (holder !== undefined && isAlive(holder, path)) {
      const { pid, host, since } = holder;
      const where = host === hostname() ? '' : ` on ${host}`;
      throw new UsageError(
        `${folder} is in use by process ${pid}${where} since ${since}. If that isn't so, remove ${path}.`,
      );
    }
    await removeStale(path, text);
  }
  held.add(path);
  const release = (): void => {
    held.delete(path);
    process.off('exit', release);
    try {
      // Whoever took it over keeps it.
      if (readFileSync(path, 'utf8') === mine) unlinkSync(path);
    } catch {
      // Gone already, or on a disk that is: then the next one finds a process that isn't there.
    }
  };
  process.on('exit', release);
  return release;
}

/** Locks that this process holds. A lock with this process's number that isn't among them is that of an earlier one. */
const held = new Set<string>();

/** The content; one that is empty still, or damaged, is waited for, as its writer may be about to fill it. */
async function readLock(path: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (parseHolder(text) !== undefined || tries === 5) return text;
    await setTimeout(50);
  }
}

/** @returns whether the file is new */
async function createFile(path: string, content: string): Promise<boolean> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
  return true;
}

/** Takes away a lock that nobody holds. Of several processes that try, one succeeds. */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Between reading and renaming, another process may have put its own in place: then it goes back.
  if ((await readFile(aside, 'utf8')) === text) await unlink(aside);
  else await rename(aside, path);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, since } = JSON.parse(text) as Holder;
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host, since } : undefined;
  } catch {
    return undefined;
  }
}

/** Processes of other machines can't be asked; they count as alive. */
function isAlive({ pid, host }: Holder, path: string): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
