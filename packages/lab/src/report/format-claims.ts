/** Claims as text for terminals. */

import type { ClaimResult } from './claims.ts';
import { paint } from './text-table.ts';

/** The claims as lines: a mark, the statement, and below it what was observed. */
export function formatClaims(claims: readonly ClaimResult[], options: { readonly colors?: boolean } = {}): string {
  const { colors = false } = options;
  const shown = (style: 'green' | 'red' | 'dim', text: string): string => (colors ? paint(style, text) : text);
  return claims
    .map(({ text, pass, perSeed }) => {
      const mark =
        pass === null ? shown('dim', '– not measured') : pass ? shown('green', '✓ PASS') : shown('red', '✗ FAIL');
      const seeds = perSeed.map(({ seed, pass: held, observed }) => {
        const verdict = held === pass ? '' : ` ${held ? shown('green', '✓') : shown('red', '✗')}`;
        return `    ${shown('dim', `seed ${seed}:`)}${verdict} ${observed}`;
      });
      return [`${mark}  ${text}`, ...seeds].join('\n');
    })
    .join('\n');
}
