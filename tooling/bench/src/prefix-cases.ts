/** Cases of prefixes, for the suite `prefix`: the same tree of 1024 chunks by levels and node by node, and scans of linear maps. */

import type { Case } from './catalog.ts';

/** An Agg of one block on chunks of 8 vectors of size 64. */
const TREE = { chunks: 1024, chunkSize: 8, size: 64, heads: 4 };
/** Channels with decays of their own, as those of a Mamba. */
const CHANNELS = { batch: 4, time: 1024, columns: 512 };

/** Names that requirements refer to. */
export const PREFIX_ROWS = {
  levels: 'tree of 1024 chunks, by levels',
  nodes: 'tree of 1024 chunks, node by node',
};

/** Matrix products of the 2026 nodes that the exclusive prefixes of 1024 chunks need: projections, and the feed-forward part of a half. */
const FLOPS = 2026 * 2 * TREE.chunkSize * (8 + 16 / 2) * TREE.size ** 2;

export const prefixCases: readonly Case[] = [
  { name: PREFIX_ROWS.levels, parameters: { ...TREE, mode: 'blelloch' } },
  { name: PREFIX_ROWS.nodes, parameters: { ...TREE, mode: 'sequential' } },
  { name: 'tree of 1024 chunks, as a stream', parameters: { ...TREE, mode: 'counter' }, quick: false },
]
  .map((row): Case => ({ suite: 'prefix', program: 'prefix tree', flops: FLOPS, ...row }))
  .concat([
    {
      ...{ suite: 'prefix', name: 'affine scan, [4,1024,512]', program: 'affine scan', parameters: CHANNELS },
      // Decays and inputs read, states written.
      bytes: 3 * 4 * CHANNELS.batch * CHANNELS.time * CHANNELS.columns,
    },
  ]);
