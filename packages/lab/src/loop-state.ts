/** The `state` object of a training loop as JSON: NaN, infinities and −0, which JSON lacks, included. */

import type { Json } from '@fwp/core';

/** Marks a number that JSON can't hold: `{ "$number": "Infinity" }`. */
const NUMBER = '$number';

/**
 * A value as JSON.
 *
 * @throws TypeError naming the part that isn't plain data
 */
export function encodeState(value: unknown, path = 'state'): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
  }
  if (Array.isArray(value)) return value.map((item, index) => encodeState(item, `${path}.${index}`));
  if (typeof value === 'object' && Object.hasOwn(value, NUMBER)) {
    throw new TypeError(`steps: ${path} has a field '${NUMBER}', a name that is reserved.`);
  }
  if (typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    return Object.fromEntries(
      Object.entries(value).map(([name, part]) => [name, encodeState(part, `${path}.${name}`)]),
    );
  }
  throw new TypeError(
    `steps: ${path} is ${describe(value)}, which a checkpoint can't hold; expected numbers, strings, booleans, null, lists and plain objects.`,
  );
}

/** The value that {@link encodeState} was given. */
export function decodeState(json: Json): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) return json.map(decodeState);
  const entries = Object.entries(json);
  if (entries.length === 1 && entries[0]?.[0] === NUMBER) return Number(entries[0][1]);
  return Object.fromEntries(entries.map(([name, part]) => [name, decodeState(part)]));
}

function describe(value: unknown): string {
  return typeof value === 'object' ? `a ${(value as object).constructor.name}` : `${typeof value}`;
}
