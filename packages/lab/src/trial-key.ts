/** How trials are named: as text for people, as file names, and as the identity that a resumed run looks for. */

import { createHash } from 'node:crypto';
import type { TrialKey } from './experiment.ts';

/** Longest part of a file name before it is shortened. */
const LONGEST_NAME = 100;

/** JSON with sorted names: equal for equal content. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : Number(a > b))));
  });
}

/** The first `digits` hexadecimal digits of a hash of some content. */
export function shortHash(value: unknown, digits = 4): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, digits);
}

/** What tells a trial from the others of its run. */
export function trialIdentity(key: TrialKey, seed: number): string {
  return canonicalJson([seed, key]);
}

/** `'model=linear keys=100 seed=1'`. */
export function trialName(key: TrialKey, seed: number): string {
  return [...Object.entries(key), ['seed', seed]].map(([name, value]) => `${name}=${value}`).join(' ');
}

/** The same as a file name that every system takes: `'model=linear,keys=100,seed=1'`. */
export function trialFileName(key: TrialKey, seed: number): string {
  const name = trialName(key, seed).replaceAll(' ', ',');
  const safe = name.replace(/[^\w=,.-]/g, '_').slice(0, LONGEST_NAME);
  return safe === name ? name : `${safe}-${shortHash([seed, key], 8)}`;
}
