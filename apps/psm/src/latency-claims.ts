/** What the paper says about the cost of a stream. */

import type { Claim } from '@fwp/lab';
import type { LatencyKey, LatencyResult } from './latency.ts';

/** A row of the results, as far as the claims look at it. */
export type LatencyRow = LatencyKey & LatencyResult & { readonly seed: number };

/** A time is flat if it grows by less than half while the stream grows several times: the machine has other things to do as well. */
const FLAT = 1.5;

export const latencyClaims: readonly Claim<LatencyRow>[] = [
  {
    text: 'The time of a token of the Transformer-PSM stays flat, on average over its chunks.',
    holds: (rows) => {
      const psm = rows.find(({ model }) => model === 'psm');
      if (psm === undefined) return undefined;
      const { earlyMilliseconds, lateMilliseconds } = psm;
      return {
        pass: lateMilliseconds <= FLAT * earlyMilliseconds,
        observed: `${earlyMilliseconds.toFixed(3)} ms, then ${lateMilliseconds.toFixed(3)} ms`,
      };
    },
  },
  {
    text: 'Its state are the live roots of its tree: behind each chunk as many as ones in the binary number of the chunks so far.',
    holds: (rows) => {
      const psm = rows.find(({ model }) => model === 'psm');
      if (psm === undefined || psm.unexpectedRoots === null) return undefined;
      return {
        pass: psm.unexpectedRoots === 0,
        observed: `at most ${psm.lateRoots} in the last eighth of ${psm.tokens} tokens, ${psm.unexpectedRoots} not as counted`,
      };
    },
  },
  {
    text: 'Its state grows with the logarithm of the position, that of the Transformer with the position.',
    holds: (rows) => {
      const [psm, transformer] = ['psm', 'transformer'].map((name) => rows.find(({ model }) => model === name));
      if (psm === undefined || transformer === undefined) return undefined;
      const growth = ({ earlyNumbers, lateNumbers }: LatencyRow) => lateNumbers / earlyNumbers;
      // Each doubling of the position adds one root at most, of a handful: half as much again at most. The Transformer's doubles.
      const logarithmic = growth(psm) <= 1 + 0.5 * Math.log2(psm.distance);
      return {
        pass: logarithmic && growth(transformer) >= 0.9 * transformer.distance,
        observed:
          `Transformer-PSM ${growth(psm).toFixed(2)} times at ${psm.distance} times the position, ` +
          `Transformer ${growth(transformer).toFixed(2)} times at ${transformer.distance} times`,
      };
    },
  },
];
