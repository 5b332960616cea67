/** What the paper says about language modelling, decided by bits per byte. */

import type { Claim } from '@fwp/lab';
import { byChunkSize, type ChunkedKey } from './chunked-models.ts';
import type { LmResult } from './lm.ts';

/** A row of the results, as far as the claims look at it. */
export type LmRow = ChunkedKey &
  Pick<LmResult, 'bitsPerByte' | 'perfectMemory' | 'noMemory'> & { readonly seed: number };

/** How much larger the loss of larger chunks may be by chance: a hundredth of a bit, less than two seeds differ by. */
const SAME = 0.01;
/** The paper's gap between chunks of 256 and GPT-2 is 0.8 % of the perplexity; of the loss, 5 % is as much as a short training leaves. */
const NEAR = 1.05;

export const lmClaims: readonly Claim<LmRow>[] = [
  {
    text: 'The larger the chunks, the smaller the loss.',
    holds: (rows) => {
      const sizes = byChunkSize(rows);
      if (sizes.length < 2) return undefined;
      const falls = sizes.every((row, i) => i === 0 || row.bitsPerByte <= (sizes[i - 1] as LmRow).bitsPerByte + SAME);
      const first = sizes[0] as LmRow;
      return {
        pass: falls && (sizes.at(-1) as LmRow).bitsPerByte < first.bitsPerByte,
        observed: sizes.map(named).join(', '),
      };
    },
  },
  {
    text: 'With large chunks the Transformer-PSM comes near the Transformer.',
    holds: (rows) => {
      const largest = byChunkSize(rows).at(-1);
      const transformer = rows.find(({ model }) => model === 'transformer');
      if (largest === undefined || transformer === undefined) return undefined;
      if (!looksUp(transformer)) return undefined;
      return {
        pass: largest.bitsPerByte <= NEAR * transformer.bitsPerByte,
        observed: `${named(largest)}, Transformer ${transformer.bitsPerByte.toFixed(3)}`,
      };
    },
  },
];

/**
 * Whether a model looks values up: it has half of what a memory can save. One that looks nothing up comes 0.1 below the best without a
 * memory, by what is frequent in a line; to be near it says nothing.
 */
function looksUp({ bitsPerByte, perfectMemory, noMemory }: LmRow): boolean {
  return bitsPerByte <= (perfectMemory + noMemory) / 2;
}

function named({ chunkSize, bitsPerByte }: LmRow): string {
  return `chunks of ${chunkSize} ${bitsPerByte.toFixed(3)}`;
}
