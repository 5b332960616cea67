/**
 * TensorFlow's libraries and headers, which its Python package has: in one that is installed, in a folder or a wheel that
 * was named, or in the official wheel, which pip fetches. Nothing of any Python installation is changed.
 */

import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SetupError, UsageError } from '../../errors.ts';
import { lastWords, runProgram } from '../program.ts';
import type { SetupContext } from './setup-context.ts';

/** The two libraries that the binding needs. */
export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;
/** All that is needed of the Python package `tensorflow`, relative to its folder. */
const NEEDED = [...LIBRARIES, 'include/tensorflow/c/c_api.h', 'include/tensorflow/c/eager/c_api.h'] as const;
/** The TensorFlow for which tfjs-node 4.22 was written. Older ones lack functions. */
const LEAST_VERSION = [2, 9] as const;
/** Folders of metadata of the wheels that have the package; packages beside it, such as tensorflow_hub, begin like it. */
const METADATA =
  /^(?:tensorflow(?:_cpu|_cpu_aws|_gpu|_intel|_rocm)?|tf_nightly(?:_cpu)?)-(?<version>\d+\.\d+[^-]*)\.dist-info$/;
/** Those of wheels for processors. */
const WITHOUT_GPU = /^(?:tensorflow|tf_nightly)_cpu(?:_aws)?-/;
/** Folder of what is unpacked, in that of the set-up. */
const UNPACKED = 'libraries';

/** A Python package `tensorflow`. */
export interface TensorflowPackage {
  /** Its folder. */
  readonly folder: string;
  /** `''` if it doesn't tell. */
  readonly version: string;
  /** The same folder as the binding's path to its libraries: relative to the binding where both move together. */
  readonly runPath: string;
  /** Whether it was unpacked for this set-up, which may remove what it doesn't need. */
  readonly isOwn: boolean;
}

/** Where the libraries are to come from. */
export interface LibrariesOptions {
  /** A folder or a wheel; default: an installed Python package, else pip. */
  readonly from?: string | undefined;
  readonly gpu: boolean;
  /** The Python command. */
  readonly python: string;
}

/**
 * Finds or fetches TensorFlow's libraries.
 *
 * @param staged folder of the set-up under way, in which what must be unpacked is unpacked
 * @throws UsageError if what was named isn't a TensorFlow
 * @throws SetupError if none can be had
 */
export async function provideLibraries(
  context: SetupContext,
  staged: string,
  options: LibrariesOptions,
): Promise<TensorflowPackage> {
  const { steps, project } = context;
  const title = "TensorFlow's libraries";
  const summary = ({ version, folder, isOwn }: TensorflowPackage): string =>
    `${version === '' ? 'of unknown version' : version}, ${isOwn ? 'unpacked' : folder}`;
  const { from, python } = options;
  if (from !== undefined) {
    const path = resolve(project, from);
    const named = await stat(path).catch(() => undefined);
    if (named === undefined) throw new UsageError(`--from ${from}: there is no such file or folder.`);
    if (named.isDirectory()) return steps.run(title, () => openFolder(path), summary);
    if (!path.endsWith('.whl')) {
      throw new UsageError(`--from ${from}: expected a folder, or a wheel (*.whl) of the Python package tensorflow.`);
    }
    return steps.run(title, (tell) => install(context, staged, path, options, tell), summary);
  }
  const installed = await steps.run(
    `TensorFlow of ${python}`,
    () => findInstalled(context, python, options.gpu),
    (found) => (typeof found === 'string' ? `none: ${found}` : `${found.version}, ${found.folder}`),
  );
  if (typeof installed !== 'string') return installed;
  const wheel = options.gpu ? 'tensorflow' : 'tensorflow-cpu';
  return steps.run(title, (tell) => install(context, staged, wheel, options, tell), summary);
}

/** A folder that the user named: the package's, the one around it, or a virtual environment. */
async function openFolder(path: string): Promise<TensorflowPackage> {
  const libs = await readdir(join(path, 'lib')).catch(() => []);
  const environments = libs.map((name) => join(path, 'lib', name, 'site-packages/tensorflow'));
  const candidates = [path, join(path, 'tensorflow'), ...environments];
  const folder = candidates.find((each) => existsSync(join(each, LIBRARIES[1])));
  if (folder === undefined) {
    throw new UsageError(
      `${path} has no TensorFlow: expected ${LIBRARIES.join(' and ')} in it, as in the folder tensorflow in Python's site-packages.`,
    );
  }
  return checked({ folder, version: await versionOf(folder), runPath: folder, isOwn: false });
}

/** The package that a Python would import, or why there is none. It isn't imported, which would take seconds. */
async function findInstalled(
  { environment, signal }: SetupContext,
  python: string,
  gpu: boolean,
): Promise<TensorflowPackage | string> {
  const script =
    "import importlib.util; s = importlib.util.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
  const { status, stdout } = await runProgram(python, ['-c', script], { environment, signal });
  if (status !== 0) return 'no such command';
  const folder = stdout.trim();
  if (folder === '') return 'not installed';
  if (gpu && WITHOUT_GPU.test((await metadataOf(folder)) ?? '')) return `${folder} knows no GPU`;
  try {
    return checked({ folder, version: await versionOf(folder), runPath: folder, isOwn: false });
  } catch (error) {
    if (error instanceof SetupError) return error.message;
    throw error;
  }
}

/** Unpacks a wheel, or the official one, into the set-up's own folder. */
async function install(
  { environment, project, signal }: SetupContext,
  staged: string,
  wheel: string,
  { gpu, python }: LibrariesOptions,
  tell: (doing: string) => void,
): Promise<TensorflowPackage> {
  const target = join(staged, UNPACKED);
  const what = gpu ? [`${wheel}[and-cuda]`] : ['--no-deps', wheel];
  const place = ['--target', target, '--no-compile', '--no-cache-dir', '--only-binary=:all:'];
  const always = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
  tell(`pip fetches ${wheel}`);
  const result = await runProgram(python, ['-m', 'pip', 'install', ...place, ...always, ...what], {
    ...{ environment, folder: project, signal },
    onLine: tell,
  });
  if (result.status !== 0) {
    throw new SetupError(
      `pip could not fetch ${wheel}:\n${lastWords(result)}\n` +
        'If there is no pip, install it (Debian and Ubuntu: apt install python3-pip). If this Python has no TensorFlow, name ' +
        'another one with --python, or a folder or wheel of TensorFlow with --from.',
    );
  }
  const folder = join(target, 'tensorflow');
  return checked({
    ...{ folder, version: await versionOf(folder), isOwn: true },
    runPath: `$ORIGIN/${UNPACKED}/tensorflow`,
  });
}

/** The package, if it has all that's needed and is of a version that can be used. */
function checked(found: TensorflowPackage): TensorflowPackage {
  const { folder, version } = found;
  const missing = NEEDED.filter((file) => !existsSync(join(folder, file)));
  if (missing.length > 0) throw new SetupError(`${folder} has no ${missing.join(', no ')}`);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_VERSION;
  if (version !== '' && (major !== leastMajor || minor < leastMinor)) {
    throw new SetupError(`${folder} is TensorFlow ${version}; expected one from ${LEAST_VERSION.join('.')} below 3`);
  }
  return found;
}

/** The version, or `''` if the package doesn't tell. */
async function versionOf(folder: string): Promise<string> {
  return METADATA.exec((await metadataOf(folder)) ?? '')?.groups?.['version'] ?? '';
}

/** The folder of metadata beside the package, whose name has that of its wheel and the version. */
async function metadataOf(folder: string): Promise<string | undefined> {
  const names = await readdir(dirname(folder)).catch(() => []);
  return names.find((name) => METADATA.test(name));
}

/** The folders of CUDA libraries beside the package, as its wheels bring them. */
export async function cudaFolders({ folder }: TensorflowPackage): Promise<string[]> {
  const nvidia = join(dirname(folder), 'nvidia');
  const names = await readdir(nvidia).catch(() => []);
  return names.map((name) => join(nvidia, name, 'lib')).filter((path) => existsSync(path));
}

/** Removes what only Python and the compiler need of an unpacked package. */
export async function keepLibraries({ folder, isOwn }: TensorflowPackage): Promise<void> {
  if (!isOwn) return;
  const unpacked = dirname(folder);
  const libraries = join(unpacked, basename(folder));
  for (const name of await readdir(unpacked)) {
    if (name !== 'nvidia' && name !== basename(folder))
      await rm(join(unpacked, name), { recursive: true, force: true });
  }
  const kept = `${libraries}.kept`;
  await rename(libraries, kept);
  await mkdir(libraries);
  for (const name of LIBRARIES) await rename(join(kept, name), join(libraries, name));
  await rm(kept, { recursive: true, force: true });
}
