/**
 * The settings of a configuration, read off its schema: paths such as `training.steps`, types and defaults. What
 * `--set` may name, and how its text becomes a value.
 */

import type { Json } from '@fwp/core';
import { z } from 'zod';
import { UsageError } from './errors.ts';
import { nearest, suggestion } from './suggest.ts';

/** The part of JSON Schema that configurations use. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: boolean | JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly default?: Json;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** One setting, as `fwp info` lists it. */
export interface Setting {
  /** For example `'training.steps'`. */
  readonly path: string;
  /** For example `'integer > 0'` or `"'linear' | 'delta'"`. */
  readonly type: string;
  readonly description: string;
}

/** Settings by name, not checked yet. */
export type Settings = { [name: string]: unknown };

/** A configuration's schema as JSON Schema. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}

/** All settings in the order of the schema; objects are opened. */
export function settingsOf(schema: JsonSchema, prefix = ''): Setting[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): Setting[] => {
    const path = prefix + name;
    if (property.properties !== undefined) return settingsOf(property, `${path}.`);
    return [{ path, type: typeText(property), description: property.description ?? '' }];
  });
}

/**
 * Sets one value in a configuration that has its defaults already.
 *
 * @param config is changed
 * @param override `'<path>=<value>'`: `'training.steps=100'`, `'keys=20,40'`, `'layers.0.size=8'`, `'model={"size":8}'`
 * @throws UsageError for a path that the schema doesn't have, and a value of another type
 */
export function applyOverride(config: Settings, schema: JsonSchema, override: string): void {
  const equals = override.indexOf('=');
  if (equals < 1) throw new UsageError(`--set ${override}: expected path=value, for example --set training.steps=100.`);
  const path = override.slice(0, equals).trim();
  const names = path.split('.');
  let here: unknown = config;
  let hereSchema: JsonSchema = schema;
  names.forEach((name, depth) => {
    const at = names.slice(0, depth);
    const next = stepInto(hereSchema, here, name, at, schema, path);
    if (depth === names.length - 1) {
      const value = parseValue(override.slice(equals + 1), next, path);
      const unknown = unknownSetting(value, next, `${path}.`);
      if (unknown !== undefined) throw new UsageError(`--set: ${unknown}`);
      (here as Record<string, unknown>)[name] = value;
      return;
    }
    const container = here as Record<string, unknown>;
    if (typeof container[name] !== 'object' || container[name] === null) container[name] = {};
    here = container[name];
    hereSchema = next;
  });
}

/** The schema of a member; an unknown one is an error. */
function stepInto(
  schema: JsonSchema,
  value: unknown,
  name: string,
  at: readonly string[],
  root: JsonSchema,
  path: string,
): JsonSchema {
  if (Array.isArray(value)) {
    const where = at.join('.');
    if (!/^\d+$/.test(name) || Number(name) >= value.length) {
      throw new UsageError(
        `--set ${path}: '${where}' is a list of ${value.length}; expected an index below that, found '${name}'.`,
      );
    }
    return (
      alternatives(schema)
        .map((option) => itemSchema(option, Number(name)))
        .find((item) => item !== undefined) ?? {}
    );
  }
  for (const { properties, additionalProperties } of alternatives(schema)) {
    if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name] as JsonSchema;
    if (typeof additionalProperties === 'object') return additionalProperties;
    // Nothing is known about what is in there.
    if (properties === undefined && Object.keys(schema).every((key) => key === 'default' || key === 'description')) {
      return {};
    }
  }
  throw new UsageError(`--set: unknown setting '${path}'.${pathSuggestion(path, root)}`);
}

/** Settings anywhere in the configuration that may have been meant; `fwp info` lists them all if none is near. */
function pathSuggestion(path: string, root: JsonSchema): string {
  const paths = settingsOf(root).map((setting) => setting.path);
  const last = path.slice(path.lastIndexOf('.') + 1);
  const near = nearest(path, paths)[0] ?? nearest(last, paths)[0];
  return near === undefined ? suggestion(path, paths) : ` Did you mean '${near}'?`;
}

/** The value that a text means where the schema expects one. */
function parseValue(text: string, schema: JsonSchema, path: string): unknown {
  const options = alternatives(schema);
  // Anything is a valid string, so strings come last.
  const ordered = [...options].sort((a, b) => Number(a.type === 'string') - Number(b.type === 'string'));
  for (const option of ordered) {
    const value = parseAs(text, option, path);
    if (value !== INVALID) return value;
  }
  const choices = options.flatMap((option) => option.enum ?? (option.const === undefined ? [] : [option.const]));
  const hint = choices.length > 0 ? suggestion(text, choices.map(String)) : '';
  throw new UsageError(`--set ${path}: expected ${typeText(schema)}, found '${text}'.${hint}`);
}

const INVALID = Symbol('not a value of this type');

function parseAs(text: string, schema: JsonSchema, path: string): unknown {
  const choices = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (choices !== undefined) {
    const index = choices.findIndex((choice) => String(choice) === text);
    return index < 0 ? INVALID : choices[index];
  }
  switch (schema.type) {
    case 'number':
    case 'integer': {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      return Number.isFinite(value) ? value : INVALID;
    }
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : INVALID;
    case 'null':
      return text === 'null' ? null : INVALID;
    case 'string':
      return text;
    case 'array': {
      if (text.trimStart().startsWith('[')) return parseJson(text, Array.isArray);
      if (text === '') return [];
      return text
        .split(',')
        .map((item, index) => parseValue(item.trim(), itemSchema(schema, index) ?? {}, `${path}.${index}`));
    }
    case 'object':
      return parseJson(text, isObject);
    default: {
      const value = parseJson(text, () => true);
      return value === INVALID ? text : value;
    }
  }
}

function parseJson(text: string, isExpected: (value: unknown) => boolean): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isExpected(value) ? value : INVALID;
  } catch {
    return INVALID;
  }
}

/** The schema of an item of a list, if there is one. */
function itemSchema({ prefixItems, items }: JsonSchema, index: number): JsonSchema | undefined {
  return prefixItems?.[index] ?? (typeof items === 'object' ? items : undefined);
}

/**
 * A sentence about the first setting in a value that the schema doesn't know and would drop; undefined if it knows all. Of a
 * schema with alternatives one has to know all.
 *
 * @param prefix the value's path with a dot behind it; nothing for the whole configuration
 */
export function unknownSetting(value: unknown, schema: JsonSchema, prefix = ''): string | undefined {
  const problems = alternatives(schema)
    .filter(({ properties, additionalProperties, items, prefixItems }) =>
      Array.isArray(value)
        ? (items ?? prefixItems) !== undefined
        : isObject(value) && (properties ?? additionalProperties) !== undefined,
    )
    .map((option) => unknownMember(value as object, option, prefix));
  return problems.includes(undefined) ? undefined : problems[0];
}

/** {@link unknownSetting} of an object or a list. */
function unknownMember(value: object, schema: JsonSchema, prefix: string): string | undefined {
  const { properties = {}, additionalProperties } = schema;
  const other = typeof additionalProperties === 'object' ? additionalProperties : undefined;
  for (const [name, member] of Object.entries(value)) {
    const known = Array.isArray(value)
      ? (itemSchema(schema, Number(name)) ?? {})
      : Object.hasOwn(properties, name)
        ? properties[name]
        : other;
    if (known === undefined) return `unknown setting '${prefix}${name}'.${suggestion(name, Object.keys(properties))}`;
    const found = unknownSetting(member, known, `${prefix}${name}.`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a value has members by name. */
export function isObject(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The types of which a value may be one. */
function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return options.flatMap(alternatives);
  if (Array.isArray(schema.type)) return schema.type.map((type: string) => ({ ...schema, type }));
  return [schema];
}

/** A type in words. */
function typeText(schema: JsonSchema): string {
  const options = alternatives(schema);
  if (options.length > 1) return options.map(typeText).join(' | ');
  const choices = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (choices !== undefined)
    return choices.map((choice) => (typeof choice === 'string' ? `'${choice}'` : String(choice))).join(' | ');
  switch (schema.type) {
    case 'number':
    case 'integer':
      return [schema.type, ...bounds(schema)].join(' ');
    case 'array':
      if (schema.prefixItems !== undefined) return `[${schema.prefixItems.map(typeText).join(', ')}]`;
      return `list of ${typeof schema.items === 'object' ? typeText(schema.items) : 'anything'}`;
    case 'object':
      return 'object (JSON)';
    case undefined:
      return 'anything (JSON)';
    default:
      return String(schema.type);
  }
}

/** `['> 0', '<= 1']`; the limits of safe integers say nothing. */
function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string[] {
  const said: [string, number | undefined][] = [
    ['>=', minimum],
    ['>', exclusiveMinimum],
    ['<=', maximum],
    ['<', exclusiveMaximum],
  ];
  return said.flatMap(([sign, value]) =>
    value === undefined || Math.abs(value) === Number.MAX_SAFE_INTEGER ? [] : [`${sign} ${value}`],
  );
}
