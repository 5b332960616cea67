/** Nested settings as a list. */

import type { Json } from '@fwp/core';

/** `['model.layers', '4']` for every setting; lists of plain values are one setting. */
export function flattenSettings(value: Json, path = ''): [path: string, value: string][] {
  const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!nested || Object.keys(value).length === 0) return path === '' ? [] : [[path, settingText(value)]];
  return Object.entries(value).flatMap(([name, inner]) =>
    flattenSettings(inner as Json, path === '' ? name : `${path}.${name}`),
  );
}

function settingText(value: Json): string {
  if (Array.isArray(value) && value.every((element) => typeof element !== 'object')) return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
