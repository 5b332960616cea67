/** From a preset's name and overrides to a configuration: defaults, then the preset (and what it extends), then overrides. */

import type { z } from 'zod';
import { UsageError } from './errors.ts';
import type { Experiment, Preset } from './experiment.ts';
import { applyOverride, isObject, type JsonSchema, jsonSchemaOf, type Settings, unknownSetting } from './settings.ts';
import { suggestion } from './suggest.ts';

/** What a configuration is resolved from. */
type ConfigSource<Config> = Pick<Experiment<Config>, 'config' | 'presets'>;

/**
 * The configuration of a preset with overrides.
 *
 * @param overrides as `--set` takes them: `'training.steps=100'`
 * @throws UsageError for an unknown preset, setting or value
 */
export function resolveConfig<Config>(
  experiment: ConfigSource<Config>,
  preset: string,
  overrides: readonly string[] = [],
): Config {
  const schema = jsonSchemaOf(experiment.config);
  const config = parse(
    experiment.config,
    withObjects(presetSettings(experiment.presets, preset), schema),
    `Preset '${preset}'`,
  );
  if (overrides.length === 0) return config;
  const settings = structuredClone(config) as Settings;
  for (const override of overrides) applyOverride(settings, schema, override);
  return parse(experiment.config, settings, '--set');
}

/**
 * Checks a configuration.
 *
 * @param what whose configuration, for the message
 * @throws UsageError naming every setting that isn't valid
 */
export function parse<Config>(schema: z.ZodType<Config>, settings: unknown, what: string): Config {
  const result = schema.safeParse(settings);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => {
    const where = path.map(String).join('.');
    const value = path.reduce<unknown>((part, name) => (part as Settings | undefined)?.[name as string], settings);
    const given = value === undefined ? '' : ` (given: ${JSON.stringify(value)})`;
    return `${where === '' ? '' : `${where}: `}${message}${given}`;
  });
  throw new UsageError(`${what}: ${problems.join('; ')}`);
}

/** A preset's settings on top of those that it extends; lists are replaced, objects merged. */
function presetSettings(presets: Readonly<Record<string, Preset<unknown>>>, name: string): Settings {
  const { extends: base, config } = presetOf(presets, name);
  return merge(base === undefined ? {} : presetSettings(presets, base), (config ?? {}) as Settings);
}

/** A preset's seeds: its own, or those of the preset that it extends. Default `[1]`. */
export function presetSeeds(presets: Readonly<Record<string, Preset<unknown>>>, name: string): readonly number[] {
  const { seeds, extends: base } = presetOf(presets, name);
  return seeds ?? (base === undefined ? [1] : presetSeeds(presets, base));
}

/**
 * A preset by name.
 *
 * @throws UsageError suggesting the name that was meant
 */
export function presetOf<Config>(presets: Readonly<Record<string, Preset<Config>>>, name: string): Preset<Config> {
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (preset !== undefined) return preset;
  throw new UsageError(`Unknown preset '${name}'.${suggestion(name, Object.keys(presets))}`);
}

/**
 * Checks what a schema by itself lets pass: chains of `extends`, and settings in presets that it doesn't know.
 *
 * @throws RangeError
 */
export function checkPresets({ config, presets }: ConfigSource<unknown>): void {
  const schema = jsonSchemaOf(config);
  for (const [name, preset] of Object.entries(presets)) {
    const chain = [name];
    for (let base = preset.extends; base !== undefined; base = presets[base]?.extends) {
      if (!Object.hasOwn(presets, base)) {
        throw new RangeError(
          `preset '${chain.at(-1)}' extends '${base}', which isn't there.${suggestion(base, Object.keys(presets))}`,
        );
      }
      if (chain.includes(base))
        throw new RangeError(`presets extend each other in a circle: ${[...chain, base].join(' → ')}.`);
      chain.push(base);
    }
    const unknown = unknownSetting(preset.config ?? {}, schema);
    if (unknown !== undefined) throw new RangeError(`preset '${name}' has an ${unknown}`);
  }
}

/** Gives objects that the schema wants, and that nobody gave, a chance to be made of their members' defaults. */
function withObjects(settings: Settings, { properties = {} }: JsonSchema): Settings {
  const result = { ...settings };
  for (const [name, property] of Object.entries(properties)) {
    if (property.properties === undefined) continue;
    const value = result[name] ?? (property.default === undefined ? {} : undefined);
    if (isObject(value)) result[name] = withObjects(value, property);
  }
  return result;
}

function merge(base: Settings, changes: Settings): Settings {
  const result = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    const old = result[name];
    result[name] = isObject(old) && isObject(value) ? merge(old, value) : value;
  }
  return result;
}
