/** Cases of fast weights with recurrence, Delta RNN, Recurrent Delta Net and Delta LSTM: the suite `rfwp`. */

import type { Case } from './catalog.ts';
import type { Parameters } from './harness/protocol.ts';

/** Head sizes, with as many heads as make a width of 256; few sequences, so that a measurement is short. */
const SIZES = [16, 64].map((dim) => ({ batch: 8, heads: 256 / dim, length: 128, dim }));

/**
 * Operations of a step for each of the dim² elements of a matrix. A delta rule has 6 forward and 14 backward; the Delta RNN has
 * two of them and the Delta LSTM six. The Recurrent Delta Net has one, and three matrices that see the last output: 6 more forward,
 * 12 more backward for the output's gradient and theirs.
 */
const SCANS = [
  { program: 'delta rnn', name: 'Delta RNN', forward: 12, both: 40 },
  { program: 'recurrent delta', name: 'Recurrent Delta Net', forward: 12, both: 38 },
  { program: 'delta lstm', name: 'Delta LSTM', forward: 36, both: 120 },
] as const;

export const fastRecurrenceCases: readonly Case[] = SCANS.flatMap(({ program, name, forward, both }) =>
  SIZES.flatMap((sizes): Case[] => {
    const { batch, heads, length, dim } = sizes;
    const elements = batch * heads * length * dim ** 2;
    const row = { suite: 'rfwp', parameters: sizes as Parameters, tolerance: 1e-3 };
    const title = `${name}, d = ${dim}`;
    return [
      { ...row, name: title, program, flops: forward * elements },
      { ...row, name: `${title}, both ways`, program: `${program} backward`, flops: both * elements },
    ];
  }),
);
