/** Finds the experiment of a run that is there already, to go on with it or to report it. */

import { resolve } from 'node:path';
import { UsageError } from './errors.ts';
import type { Experiment } from './experiment.ts';
import { findExperiment, loadRegistry } from './registry.ts';
import type { RunConfig } from './run-folder.ts';

/**
 * The experiment of a run: in the file that `config.json` names, or among those of the project in the current folder, or
 * else of the project that the run is in.
 *
 * @param folder of the run
 * @param config what its `config.json` has
 * @param warn gets a sentence about each package that couldn't be read
 * @throws UsageError if it isn't there
 */
export async function experimentOfRun(
  folder: string,
  { id, source }: Pick<RunConfig, 'id' | 'source'>,
  warn: (message: string) => void,
): Promise<Experiment> {
  const here = process.cwd();
  if (source !== null && 'file' in source) {
    return (await findExperiment(`${resolve(folder, source.file)}#${id}`, here, warn)).experiment;
  }
  const warnings = new Set<string>();
  for (const project of [here, folder]) {
    const { experiments, problems } = await loadRegistry(project);
    const found = experiments.find(({ experiment }) => experiment.id === id);
    if (found !== undefined) return found.experiment;
    for (const problem of problems) warnings.add(problem);
  }
  for (const warning of warnings) warn(warning);
  const wanted = source === null ? 'a package with this experiment' : `the package '${source.package}'`;
  throw new UsageError(
    `${folder} is a run of '${id}', which neither the project in the current folder nor the one that the run is in has. ` +
      `Give the command in a project that depends on ${wanted}.`,
  );
}
