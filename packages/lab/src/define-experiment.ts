/** Makes an experiment out of its parts, and finds mistakes in them when the file is loaded rather than hours later. */

import { checkPresets, resolveConfig } from './config.ts';
import { messageOf } from './errors.ts';
import type { Experiment, ExperimentDefinition, Measurements, ReportLayout, TrialKey } from './experiment.ts';
import { RESERVED_FIELDS } from './run-folder.ts';
import { checkSeeds } from './seeds.ts';
import { suggestion } from './suggest.ts';
import { canonicalJson, trialFileName } from './trial-key.ts';

/** Marks experiments among the exports of a module; shared by all copies of this package. */
const EXPERIMENT = Symbol.for('@fwp/lab/experiment');

/**
 * Checks an experiment and fills in what was left out; types of keys and measurements are inferred.
 *
 * @throws RangeError if the id, a preset, the grid of a preset, a published row, a claim or the report's layout isn't valid
 */
export function defineExperiment<Config, const Key extends TrialKey, Result extends Measurements>(
  definition: ExperimentDefinition<Config, Key, Result>,
): Experiment<Config, Key, Result> {
  const experiment = {
    // Without a grid, Key is inferred as the empty key.
    trials: (): readonly Key[] => [{} as Key],
    published: [],
    claims: [],
    ...definition,
    [EXPERIMENT]: true,
  } as Experiment<Config, Key, Result>;
  try {
    check(experiment as unknown as Experiment);
  } catch (error) {
    throw new RangeError(`Experiment '${definition.id}': ${messageOf(error)}`, { cause: error });
  }
  return experiment;
}

/** Whether a value was made by {@link defineExperiment}. */
export function isExperiment(value: unknown): value is Experiment {
  return typeof value === 'object' && value !== null && EXPERIMENT in value;
}

function check(experiment: Experiment): void {
  const { id, title, presets, published, claims, report } = experiment;
  if (!/^[a-z0-9][a-z0-9-]*(\/[a-z0-9][a-z0-9-]*)+$/.test(id)) {
    throw new RangeError("id must be '<package>/<name>' of lower-case letters, digits and hyphens.");
  }
  if (title.trim() === '') throw new RangeError('title is empty.');
  if (Object.keys(presets).length === 0) throw new RangeError("presets is empty; expected at least 'quick'.");
  checkPresets(experiment);
  for (const [name, { seeds }] of Object.entries(presets)) {
    const config = resolveConfig(experiment, name);
    checkGrid(`preset '${name}'`, experiment.trials(config), report);
    if (seeds !== undefined) checkSeeds(seeds);
  }
  published.forEach(({ source }, index) => {
    if (typeof source !== 'string' || source === '') {
      throw new RangeError(`published[${index}] has no source; say where the number stands, for example 'Table 1'.`);
    }
  });
  const texts = claims.map(({ text }) => text);
  const twice = texts.find((text, index) => texts.indexOf(text) !== index);
  if (twice !== undefined) throw new RangeError(`two claims have the text '${twice}'.`);
}

/**
 * Checks the trials of a configuration.
 *
 * @throws RangeError if there are none, if two are the same, or a field of a key can't be used
 */
export function checkGrid(what: string, keys: readonly TrialKey[], report: ReportLayout): void {
  if (keys.length === 0) throw new RangeError(`${what} has an empty grid: trials(config) returned no keys.`);
  const seen = new Set<string>();
  for (const key of keys) {
    // Files are named after trials, and some systems don't tell capitals.
    const name = trialFileName(key, 0).toLowerCase();
    if (seen.has(name)) throw new RangeError(`${what} has the trial ${canonicalJson(key)} twice in its grid.`);
    seen.add(name);
    for (const [field, value] of Object.entries(key)) {
      if (RESERVED_FIELDS.includes(field))
        throw new RangeError(`${what}: a trial's key can't have a field '${field}'.`);
      const isCell = value === null || ['string', 'boolean'].includes(typeof value) || Number.isFinite(value);
      if (!isCell)
        throw new RangeError(
          `${what}: field '${field}' of a trial's key must be a string, a finite number, a boolean or null.`,
        );
    }
  }
  const fields = [...new Set(keys.flatMap((key) => Object.keys(key)))];
  for (const [side, field] of Object.entries({ rows: report.rows, columns: report.columns })) {
    if (field === undefined || fields.length === 0 || fields.includes(field)) continue;
    throw new RangeError(
      `report.${side} is '${field}', which is no field of the trials' keys.${suggestion(field, fields)}`,
    );
  }
}
