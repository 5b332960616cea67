/**
 * The papers' numbers: tables 1, 4, 6 and 10 of the σ-MoE paper and table 2 of the SwitchHead paper. `bitsPerByte` is on enwik8
 * (41 million parameters), `perplexity` per subword on WikiText-103 (47 million): numbers of one cannot be compared with the other.
 */

import type { PublishedRow } from '@fwp/lab';
import type { FeedForwardName } from './feed-forward-variants.ts';

const FEED_FORWARD: readonly (readonly [FeedForwardName, bitsPerByte: number, perplexity: number, table: string])[] = [
  ['dense', 1.08, 11.81, 'tables 3 and 4'],
  ['top-k', 1.07, 11.74, 'table 1, K = 128'],
  ['pkm-dense-softmax', 1.16, 13.96, 'table 6, parameters matched'],
  ['pkm-dense-relu', 1.11, 12.77, 'table 6, parameters matched'],
  ['sigma-moe', 1.08, 11.59, 'table 4'],
  ['sigma-moe-standard-init', 1.08, 11.8, 'table 4'],
  ['sigma-moe-unregularized', 1.08, 11.83, 'table 4'],
  ['sigma-moe-standard-dropout', 1.08, 12.01, 'table 4'],
  ['softmax-before-top-k', 1.09, 12.05, 'table 4'],
  ['softmax-after-top-k', 1.09, 11.89, 'table 4'],
  ['sigma-moe-one-expert', 1.09, 11.9, 'table 4, K = 1, G = 512'],
  ['sigma-moe-small-experts', 1.08, 11.63, 'table 4, K = 8, G = 64'],
  ['switch', 1.1, 11.88, 'table 4, without dropout'],
  ['s-base', 1.17, 13.01, 'table 4, K = 4'],
];

/** Texts of {@link publishedFeedForward}, as a trial's key names them. */
export const PUBLISHED_DATA = { bytes: 'enwik8', subwords: 'wikitext-103' } as const;

/** Feed-forward blocks in equal numbers of parameters, a row for each text. */
export const publishedFeedForward: readonly PublishedRow[] = FEED_FORWARD.flatMap(
  ([model, bitsPerByte, perplexity, table]) => {
    const source = `σ-MoE paper, ${table}`;
    return [
      { model, data: PUBLISHED_DATA.bytes, bitsPerByte, source },
      { model, data: PUBLISHED_DATA.subwords, perplexity, source },
    ];
  },
);

/** Attention in equal numbers of parameters, WikiText-103, 47 million parameters: cost of a layer, perplexity. */
export const publishedAttention: readonly PublishedRow[] = [
  { model: 'dense-many-heads', length: 256, multiplyAdds: 453.4e6, floats: 3.5e6, perplexity: 12.32 },
  { model: 'dense-few-heads', length: 256, perplexity: 12.73 },
  { model: 'switchhead', length: 256, multiplyAdds: 170.4e6, floats: 0.8e6, perplexity: 12.31 },
].map((row) => ({ ...row, source: 'SwitchHead paper, table 2' }));
