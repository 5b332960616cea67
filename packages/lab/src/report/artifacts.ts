/** The files that trials wrote: pictures are shown in the report, everything else is linked. */

import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { runPaths } from '../run-folder.ts';

/** A file under `artifacts/`. */
export interface Artifact {
  /** Relative to the run folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Content as a `data:` address; undefined if it is no picture, or too large for the report. */
  readonly picture: string | undefined;
}

const PICTURES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
  // As an image, an SVG can't run scripts.
  '.svg': 'image/svg+xml',
};
/** What the pictures of a report may take in all. */
const MAX_EMBEDDED = 16 * 2 ** 20;

/** All artifacts of a run, by path. */
export async function readArtifacts(folder: string): Promise<Artifact[]> {
  const root = runPaths(folder).artifacts;
  const paths = (await filesUnder(root)).toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const artifacts: Artifact[] = [];
  let embedded = 0;
  for (const path of paths) {
    const { size } = await stat(path);
    const type = PICTURES[extname(path).toLowerCase()];
    const fits = type !== undefined && embedded + size <= MAX_EMBEDDED;
    if (fits) embedded += size;
    artifacts.push({
      path: relative(folder, path).split(sep).join('/'),
      bytes: size,
      picture: fits ? `data:${type};base64,${(await readFile(path)).toString('base64')}` : undefined,
    });
  }
  return artifacts;
}

async function filesUnder(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
