/** Cases of the delta rule, for the suite `scans`. */

import type { Case } from './catalog.ts';
import { PEAK_ROW } from './peak-cases.ts';

const SIZES = { batch: 16, heads: 8, length: 1024, dim: 64 };
const WIDE = { batch: 8, heads: 4, length: 1024, dim: 128 };
const SHORT = { ...SIZES, length: 128 };
/** dim² elements of the state for each step, head and batch element. */
const states = ({ batch, heads, length, dim }: typeof SIZES): number => batch * heads * length * dim ** 2;

/** Names that requirements refer to. */
export const DELTA_RULE_ROWS = {
  forward: 'delta rule',
  bothWays: 'delta rule, both ways',
  loop: 'delta rule, both ways, 128 steps (PyTorch: a loop)',
  shortest: 'delta rule, a step of 1024',
  longest: 'delta rule, a step of 65536',
};

/** A step is 6 dim² operations forward and 14 dim² backward. */
const scans: Case[] = [
  {
    name: DELTA_RULE_ROWS.forward,
    program: 'delta rule',
    parameters: SIZES,
    flops: 6 * states(SIZES),
    yardstick: PEAK_ROW,
  },
  {
    name: DELTA_RULE_ROWS.bothWays,
    program: 'delta rule backward',
    parameters: SIZES,
    flops: 20 * states(SIZES),
    yardstick: PEAK_ROW,
  },
  { name: 'delta rule, d = 128', program: 'delta rule', parameters: WIDE, flops: 6 * states(WIDE) },
  {
    name: 'delta rule, both ways, d = 128',
    program: 'delta rule backward',
    parameters: WIDE,
    flops: 20 * states(WIDE),
  },
  { name: 'gated delta rule, both ways', program: 'gated delta rule backward', parameters: SIZES },
  // The eager loop's time grows faster than its length: shorter sequences are in its favour.
  {
    name: DELTA_RULE_ROWS.loop,
    program: 'delta rule loop backward',
    parameters: SHORT,
    flops: 20 * states(SHORT),
  },
].map((row) => ({ suite: 'scans', ...row }));

/** Time per step of long sequences, 8 heads together. */
const lengths: Case[] = [1024, 4096, 16384, 65536].map((length) => ({
  suite: 'scans',
  name: `delta rule, a step of ${length}`,
  program: 'delta rule',
  parameters: { batch: 1, heads: 8, length, dim: 64 },
  unit: 'µs',
  calls: length,
  quick: length <= 4096,
}));

export const deltaRuleCases: readonly Case[] = [...scans, ...lengths];
