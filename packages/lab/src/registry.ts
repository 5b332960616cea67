/**
 * Finds experiments: those of the packages on which the project in the current folder depends, and those in files.
 *
 * A package joins by a field in its package.json, `"fwp": { "experiments": "<export path>" }`: the experiments are the
 * exports of that module. Nothing is found by being imported somewhere.
 */

import { readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isExperiment } from './define-experiment.ts';
import { messageOf, UsageError } from './errors.ts';
import type { Experiment } from './experiment.ts';
import { importModule } from './import-module.ts';
import { suggestion } from './suggest.ts';

/** Where the code of an experiment is. */
export type ExperimentOrigin =
  | { readonly package: string; readonly version: string; readonly folder: string }
  | { readonly file: string; readonly folder: string };

/** An experiment that was found. */
export interface FoundExperiment {
  readonly experiment: Experiment;
  readonly origin: ExperimentOrigin;
}

/** All experiments of a project. */
export interface Registry {
  /** Sorted by id. */
  readonly experiments: readonly FoundExperiment[];
  /** One sentence for each package that couldn't be read; the others are not affected. */
  readonly problems: readonly string[];
}

/** The fields of package.json that matter here. */
interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly exports?: unknown;
  readonly workspaces?: unknown;
  readonly fwp?: Readonly<Partial<Record<Contribution, unknown>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** What a package can contribute: the fields of `"fwp"` in its package.json, each an export path. */
export type Contribution = 'experiments' | 'bench';

/** A package on the disk. */
interface InstalledPackage {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Whether `fwp run` was given a file (perhaps with `#<id>`) rather than an id. */
export function isFile(what: string): boolean {
  return /^\.{0,2}[/\\]|^[A-Za-z]:[/\\]|\.[cm]?[jt]sx?(#|$)/.test(what);
}

/**
 * An experiment by id, or the one in a file.
 *
 * @param what an id, or the path of a file that exports one experiment (or `<path>#<id>` of several)
 * @param folder the current folder
 * @param warn gets a sentence about each package that couldn't be read
 * @throws UsageError if there is no such experiment
 */
export async function findExperiment(
  what: string,
  folder: string,
  warn: (message: string) => void,
): Promise<FoundExperiment> {
  if (isFile(what)) return experimentInFile(what, folder);
  const { experiments, problems } = await loadRegistry(folder);
  const found = experiments.find(({ experiment }) => experiment.id === what);
  if (found !== undefined) return found;
  problems.forEach(warn);
  const ids = experiments.map(({ experiment }) => experiment.id);
  if (ids.length > 0) throw new UsageError(`Unknown experiment '${what}'.${suggestion(what, ids)}`);
  throw new UsageError(`Unknown experiment '${what}': ${NO_EXPERIMENTS}`);
}

/** What to say where nothing is found. */
export const NO_EXPERIMENTS =
  'no package with experiments is a dependency of the project in this folder. Install one, or give a file: fwp run ./my-experiment.ts';

/**
 * The experiments of the packages on which the project in `folder` (and its workspace's root) depends.
 *
 * @throws UsageError if two experiments have one id
 */
export async function loadRegistry(folder: string): Promise<Registry> {
  const { modules, problems } = await contributedModules(folder, 'experiments');
  const experiments = modules.flatMap(({ module, origin }) =>
    experimentsOf(module).map((experiment): FoundExperiment => ({ experiment, origin })),
  );
  experiments.sort(({ experiment: a }, { experiment: b }) => (a.id < b.id ? -1 : Number(a.id > b.id)));
  experiments.forEach((found, index) => {
    const other = experiments[index + 1];
    if (other?.experiment.id !== found.experiment.id) return;
    throw new UsageError(
      `Two experiments are called '${found.experiment.id}', in ${nameOf(found)} and in ${nameOf(other)}. Remove one of the packages, or rename one.`,
    );
  });
  return { experiments, problems };
}

/** A module that a package contributes. */
export interface ContributedModule {
  readonly module: Readonly<Record<string, unknown>>;
  readonly origin: { readonly package: string; readonly version: string; readonly folder: string };
}

/**
 * Imports what the packages contribute on which the project in `folder` (and its workspace's root) depends; one sentence
 * for each that can't be imported.
 */
export async function contributedModules(
  folder: string,
  contribution: Contribution,
): Promise<{ modules: ContributedModule[]; problems: string[] }> {
  const modules: ContributedModule[] = [];
  const problems: string[] = [];
  for (const { folder: packageFolder, manifest } of await contributingPackages(folder, contribution)) {
    const { name = packageFolder, version = '0.0.0' } = manifest;
    try {
      const module = await importModule(contributedFile(packageFolder, manifest, contribution));
      modules.push({ module, origin: { package: name, version, folder: packageFolder } });
    } catch (error) {
      problems.push(`The ${NAMES[contribution]} of package '${name}' can't be loaded: ${firstLine(error)}`);
    }
  }
  return { modules, problems };
}

const NAMES: Readonly<Record<Contribution, string>> = { experiments: 'experiments', bench: 'benchmarks' };

async function experimentInFile(what: string, folder: string): Promise<FoundExperiment> {
  // Names of folders may have a # as well.
  const [, path = what, id] = /^(.+)#([\w-]+(?:\/[\w-]+)*)$/.exec(what) ?? [];
  const file = resolve(folder, path);
  let module: Record<string, unknown>;
  try {
    module = await importModule(await realpath(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UsageError(`There is no file ${file}.`);
    throw new UsageError(`${path} can't be loaded: ${messageOf(error)}`, { cause: error });
  }
  const experiments = experimentsOf(module);
  const ids = experiments.map((experiment) => experiment.id);
  const experiment = id === undefined ? experiments[0] : experiments.find((each) => each.id === id);
  if (experiments.length === 0) {
    throw new UsageError(`${path} exports no experiment; expected: export default defineExperiment({ … }).`);
  }
  if (experiment === undefined) throw new UsageError(`${path} has no experiment '${id}'.${suggestion(id ?? '', ids)}`);
  if (id === undefined && experiments.length > 1) {
    throw new UsageError(
      `${path} exports ${ids.length} experiments; choose one: ${ids.map((each) => `${path}#${each}`).join(', ')}.`,
    );
  }
  return { experiment, origin: { file, folder: dirname(file) } };
}

/** The packages that contribute something: the project itself, and what it and its workspace's root depend on. */
async function contributingPackages(folder: string, contribution: Contribution): Promise<InstalledPackage[]> {
  const packages = new Map<string, InstalledPackage>();
  const add = async (candidate: InstalledPackage | undefined): Promise<void> => {
    if (candidate?.manifest.fwp?.[contribution] === undefined) return;
    const real = await realpath(candidate.folder);
    packages.set(real, { ...candidate, folder: real });
  };
  for (const project of await projectsAbove(folder)) {
    await add(project);
    const { dependencies, devDependencies, optionalDependencies } = project.manifest;
    for (const name of Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      await add(await installedPackage(name, project.folder));
    }
  }
  return [...packages.values()];
}

/** The nearest project, and the root of the workspace that it is in. */
async function projectsAbove(folder: string): Promise<InstalledPackage[]> {
  const projects: InstalledPackage[] = [];
  for (const here of foldersUp(folder)) {
    const manifest = await readManifest(here);
    if (manifest === undefined) continue;
    const isRoot = manifest.workspaces !== undefined || (await exists(join(here, 'pnpm-workspace.yaml')));
    if (projects.length === 0 || isRoot) projects.push({ folder: here, manifest });
    if (isRoot) break;
  }
  return projects;
}

async function installedPackage(name: string, folder: string): Promise<InstalledPackage | undefined> {
  for (const here of foldersUp(folder)) {
    const candidate = join(here, 'node_modules', name);
    const manifest = await readManifest(candidate);
    if (manifest !== undefined) return { folder: candidate, manifest };
  }
  return undefined;
}

/** The file of the module that a package names. */
function contributedFile(folder: string, manifest: Manifest, contribution: Contribution): string {
  const path = manifest.fwp?.[contribution];
  if (typeof path !== 'string' || !/^\.(\/|$)/.test(path)) {
    throw new Error(
      `field fwp.${contribution} of package.json is ${JSON.stringify(path)}; expected an export path such as "." or "./experiments".`,
    );
  }
  const { exports, main } = manifest;
  if (exports === undefined) return join(folder, path === '.' ? (main ?? 'index.js') : path);
  const hasPaths =
    typeof exports === 'object' && exports !== null && Object.keys(exports).some((key) => key.startsWith('.'));
  const entry = hasPaths ? (exports as Record<string, unknown>)[path] : path === '.' ? exports : undefined;
  const target = conditionTarget(entry);
  if (target === undefined)
    throw new Error(`field fwp.${contribution} of package.json names "${path}", which exports doesn't have.`);
  return join(folder, target);
}

/** What an entry of `exports` means to `import` in Node.js. */
function conditionTarget(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry;
  if (typeof entry !== 'object' || entry === null) return undefined;
  for (const [condition, value] of Object.entries(entry)) {
    if (!['import', 'node', 'module-sync', 'default'].includes(condition)) continue;
    const target = conditionTarget(value);
    if (target !== undefined) return target;
  }
  return undefined;
}

/** The experiments among a module's exports, each once. What a compiled CommonJS module exports is in its `default`. */
function experimentsOf(module: Record<string, unknown>): Experiment[] {
  const { default: main } = module;
  const inside = typeof main === 'object' && main !== null ? Object.values(main) : [];
  return [...new Set([...Object.values(module), ...inside].filter(isExperiment))];
}

async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, 'package.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as Manifest;
  } catch (error) {
    throw new UsageError(`${path} is not valid JSON: ${messageOf(error)}`);
  }
}

async function exists(path: string): Promise<boolean> {
  return realpath(path).then(
    () => true,
    () => false,
  );
}

function foldersUp(folder: string): string[] {
  const folders = [resolve(folder)];
  for (let here = folders[0] as string; dirname(here) !== here; ) folders.push((here = dirname(here)));
  return folders;
}

function nameOf({ origin }: FoundExperiment): string {
  return 'package' in origin ? origin.package : origin.file;
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] as string;
}
