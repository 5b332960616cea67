/** What the paper says about state tracking, decided by fractions of right labels. */

import type { Claim, Verdict } from '@fwp/lab';
import { percent } from './percent.ts';
import type { StateTrackingKey, StateTrackingResult } from './state-tracking.ts';

/** A row of the results, as far as the claims look at it. */
export type StateTrackingRow = StateTrackingKey & Pick<StateTrackingResult, 'accuracy1' | 'accuracy8' | 'solvedAt'>;

/**
 * Fraction of labels from which a length counts as tracked: "100 %" of some thousand labels, each of which needs all before it, with
 * one in two hundred to spare.
 */
export const TRACKED = 0.995;
/**
 * How far above chance a model may be that has lost the state: a tenth of what there is to gain. In the second half of a sequence
 * eight times as long as in training, all states are equally likely, so that chance is 1 / order.
 */
const LOST = 0.1;

/** Number of elements of a group, of those that the presets name. */
export const ORDERS: Readonly<Record<string, number>> = { Z2: 2, S3: 6, A5: 60, S5: 120 };

export const stateTrackingClaims: readonly Claim<StateTrackingRow & { readonly seed: number }>[] = [
  {
    text: 'The Transformer-PSM tracks the state in sequences eight times as long as in training.',
    holds: (rows) => tracks(rows, 'psm'),
  },
  {
    text: 'The Transformer has lost the state there, although it has learned sequences as long as in training.',
    holds: (rows) => {
      // Only where it fits the length of the training is it a failure to extrapolate.
      const solved = rows.filter(({ model, solvedAt }) => model === 'transformer' && solvedAt !== null);
      if (solved.length === 0) return undefined;
      return {
        pass: solved.every(({ group, accuracy8 }) => {
          const chance = 1 / (ORDERS[group] ?? Number.POSITIVE_INFINITY);
          return accuracy8 <= chance + LOST * (1 - chance);
        }),
        observed: solved
          .map(
            ({ group, accuracy1, accuracy8 }) =>
              `${group} ${percent(accuracy1)} as in training, ${percent(accuracy8)} there`,
          )
          .join(', '),
      };
    },
  },
  {
    text: 'It is the tree that extrapolates, not its softmax: with an Agg without attention the state is tracked as well.',
    holds: (rows) => tracks(rows, 'psmFeedForward'),
  },
];

/** Whether a model tracks the state of every group in sequences eight times as long as in training. */
function tracks(rows: readonly StateTrackingRow[], name: StateTrackingKey['model']): Verdict | undefined {
  const tracking = rows.filter(({ model }) => model === name);
  if (tracking.length === 0) return undefined;
  return {
    pass: tracking.every(({ accuracy8 }) => accuracy8 >= TRACKED),
    observed: tracking.map(({ group, accuracy8 }) => `${group} ${percent(accuracy8)}`).join(', '),
  };
}
