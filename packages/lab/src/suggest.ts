/** Which valid name was probably meant. */

import { distance } from 'fastest-levenshtein';

/** Names that differ more than this, as a share of the longer one's length, are no suggestion. */
const FARTHEST = 0.5;

/**
 * The valid names nearest to what was given, the nearest first. The last part of a name (`'steps'` of
 * `'training.steps'`, `'capacity'` of `'deltanet/capacity'`) counts as the name as well.
 */
export function nearest(given: string, valid: Iterable<string>, count = 1): string[] {
  const wanted = given.toLowerCase();
  const scored = [...valid].map((name) => {
    const lower = name.toLowerCase();
    const last = lower.slice(Math.max(lower.lastIndexOf('.'), lower.lastIndexOf('/')) + 1);
    return { name, score: Math.min(difference(wanted, lower), 0.05 + difference(wanted, last)) };
  });
  return scored
    .filter(({ score }) => score <= FARTHEST)
    .sort((a, b) => a.score - b.score)
    .slice(0, count)
    .map(({ name }) => name);
}

/**
 * The end of a message about an unknown name: the nearest valid one, or all of them.
 *
 * @returns `" Did you mean 'steps'?"`, or `" Choose one of 'steps', 'seed'."`
 */
export function suggestion(given: string, valid: Iterable<string>): string {
  const names = [...valid];
  const [name] = nearest(given, names);
  if (name !== undefined) return ` Did you mean '${name}'?`;
  if (names.length === 0) return '';
  return ` Choose one of ${names.map((each) => `'${each}'`).join(', ')}.`;
}

/** Edit distance as a share of the longer length; a beginning of at least three letters counts as near. */
function difference(given: string, name: string): number {
  if (given.length >= 3 && name.startsWith(given)) return 0.2;
  return distance(given, name) / Math.max(given.length, name.length, 1);
}
