/**
 * The npm package @tensorflow/tfjs-node, whose kernels are the device's and whose binding is compiled anew: a copy of the one
 * that the project has installed, else the one that npm has. Its install script isn't run.
 */

import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SetupError } from '../../errors.ts';
import { lastWords, runProgram } from '../program.ts';
import type { SetupContext } from './setup-context.ts';

/** The version whose sources are known to compile against the TensorFlow of today. */
export const TFJS_NODE_VERSION = '4.22.0';
const NAME = '@tensorflow/tfjs-node';
/** What is used of the package. */
const PARTS = ['package.json', 'LICENSE', 'dist', 'binding'] as const;

/**
 * Puts the package into a folder.
 *
 * @param folder where it will be; isn't there yet
 * @throws SetupError if it can't be had
 */
export async function provideTfjsNode(context: SetupContext, folder: string): Promise<void> {
  await context.steps.run(
    `${NAME} ${TFJS_NODE_VERSION}`,
    async (tell) => {
      const installed = await findInstalled(context.project);
      if (installed !== undefined) {
        await copyParts(installed, folder);
        return `a copy of ${installed}`;
      }
      await fetchPackage(context, folder, tell);
      return 'from npm';
    },
    (where) => where,
  );
}

/** The folder of the package, of the right version, that the project has. */
async function findInstalled(project: string): Promise<string | undefined> {
  try {
    const manifest = createRequire(pathToFileURL(join(project, 'package.json'))).resolve(`${NAME}/package.json`);
    return (await versionIn(dirname(manifest))) === TFJS_NODE_VERSION ? dirname(manifest) : undefined;
  } catch {
    return undefined;
  }
}

async function fetchPackage(
  { environment, project, signal }: SetupContext,
  folder: string,
  tell: (doing: string) => void,
): Promise<void> {
  const downloads = `${folder}.download`;
  await mkdir(downloads, { recursive: true });
  const run = async (command: string, args: readonly string[], advice: string): Promise<void> => {
    const result = await runProgram(command, args, { environment, folder: project, signal, onLine: tell });
    if (result.status === 0) return;
    throw new SetupError(`${command} could not fetch ${NAME}@${TFJS_NODE_VERSION}:\n${lastWords(result)}\n${advice}`);
  };
  await run(
    'npm',
    ['pack', `${NAME}@${TFJS_NODE_VERSION}`, '--pack-destination', downloads, '--ignore-scripts', '--loglevel=error'],
    `Where there is no way to npm's registry, install the package in this project ('npm install --ignore-scripts ${NAME}@${TFJS_NODE_VERSION}'), and try again.`,
  );
  const archive = (await readdir(downloads)).find((name) => name.endsWith('.tgz'));
  if (archive === undefined) throw new SetupError(`npm pack ended well, but there is no archive in ${downloads}.`);
  await run('tar', ['-xzf', join(downloads, archive), '-C', downloads], 'The program tar is needed to unpack it.');
  const unpacked = join(downloads, 'package');
  const version = await versionIn(unpacked);
  if (version !== TFJS_NODE_VERSION) {
    throw new SetupError(`npm brought ${NAME} ${version}; expected ${TFJS_NODE_VERSION}.`);
  }
  await copyParts(unpacked, folder);
}

async function versionIn(folder: string): Promise<string> {
  return (JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}

async function copyParts(from: string, to: string): Promise<void> {
  const names = await readdir(from);
  const missing = PARTS.filter((name) => name !== 'LICENSE' && !names.includes(name));
  if (missing.length > 0) throw new SetupError(`${from} has no ${missing.join(', no ')}: it isn't ${NAME}.`);
  for (const name of PARTS.filter((part) => names.includes(part))) {
    await cp(join(from, name), join(to, name), { recursive: true, dereference: true });
  }
}
