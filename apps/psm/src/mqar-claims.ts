/** What the paper says about associative recall, decided by fractions of right answers. */

import type { Claim } from '@fwp/lab';
import { byChunkSize, type ChunkedKey } from './chunked-models.ts';
import type { MqarResult } from './mqar.ts';
import { percent } from './percent.ts';

/** A row of the results, as far as the claims look at it. */
export type MqarRow = ChunkedKey & Pick<MqarResult, 'accuracy'> & { readonly seed: number };

/** "Nearly no errors": one answer in twenty may be wrong, of models that are trained for minutes. */
const RECALLED = 0.95;
/** How much a larger chunk may be behind a smaller one: what two equally good models differ by. */
const SAME = 0.01;

export const mqarClaims: readonly Claim<MqarRow>[] = [
  {
    text: 'With chunks that are large enough, the Transformer-PSM recalls nearly everything, as the Transformer does.',
    holds: (rows) => {
      const largest = byChunkSize(rows).at(-1);
      const transformer = rows.find(({ model }) => model === 'transformer');
      if (largest === undefined || transformer === undefined) return undefined;
      return {
        pass: largest.accuracy >= RECALLED && transformer.accuracy >= RECALLED,
        observed: `${named(largest)}, Transformer ${percent(transformer.accuracy)}`,
      };
    },
  },
  {
    text: 'The larger the chunks, the more is recalled.',
    holds: (rows) => {
      const sizes = byChunkSize(rows);
      if (sizes.length < 2) return undefined;
      const [smallest, largest] = [sizes[0] as MqarRow, sizes.at(-1) as MqarRow];
      const grows = sizes.every((row, i) => i === 0 || row.accuracy >= (sizes[i - 1] as MqarRow).accuracy - SAME);
      return { pass: grows && largest.accuracy > smallest.accuracy, observed: sizes.map(named).join(', ') };
    },
  },
];

function named({ chunkSize, accuracy }: MqarRow): string {
  return `chunks of ${chunkSize} ${percent(accuracy)}`;
}
