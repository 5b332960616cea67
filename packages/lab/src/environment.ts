/** What a run runs on and with. */

import { execFile } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { VERSION as CORE_VERSION } from '@fwp/core';
import type { Environment } from './run-folder.ts';
import { labVersion } from './version.ts';

/**
 * @param folder of the experiment's code
 * @param packages versions of the experiment's packages
 */
export async function describeEnvironment(
  folder: string,
  packages: Readonly<Record<string, string>>,
): Promise<Environment> {
  const processors = cpus();
  return {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memory: totalmem(),
    packages: { '@fwp/core': CORE_VERSION, '@fwp/lab': await labVersion(), ...packages },
    revision: await gitRevision(folder),
  };
}

/** The commit that is checked out; null outside a repository or without git. */
async function gitRevision(folder: string): Promise<Environment['revision']> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: folder, windowsHide: true })).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    return { commit, modified: (await git('status', '--porcelain', '--untracked-files=no')) !== '' };
  } catch {
    return null;
  }
}
