/**
 * Which of a training run's evaluations counts (Csordás, Irie and Schmidhuber, The Devil is in the Detail, 2021, section 3.4).
 * Validation on examples like those of training says little about others: stopping early there stops too early.
 *
 *     final             the last one: no selection
 *     iidLoss           early stopping as usual: the least validation loss on examples like those of training
 *     generalization    the last one of those with the best validation accuracy on examples unlike those of training
 */

import { assertOneOf } from '@fwp/core';

/** Protocols of {@link selectEvaluation}. */
export const SELECTION_PROTOCOLS = ['final', 'iidLoss', 'generalization'] as const;

/** Name of a protocol. */
export type SelectionProtocol = (typeof SELECTION_PROTOCOLS)[number];

/** What an evaluation has measured. */
export interface Evaluation {
  /** Validation loss on examples like those of training. */
  readonly iidLoss: number;
  /** Validation accuracy on examples unlike those of training. */
  readonly generalizationAccuracy: number;
}

/**
 * The evaluation that a protocol reports.
 *
 * @param evaluations in the order of training, at least one
 * @param protocol how to choose
 * @throws RangeError if there is no evaluation
 */
export function selectEvaluation<E extends Evaluation>(evaluations: readonly E[], protocol: SelectionProtocol): E {
  assertOneOf('selectEvaluation: protocol', protocol, SELECTION_PROTOCOLS);
  const last = evaluations.at(-1);
  if (last === undefined) throw new RangeError('selectEvaluation: evaluations is empty; evaluate at least once.');
  if (protocol === 'final') return last;
  return evaluations.reduce((chosen, next) => {
    if (protocol === 'iidLoss') return next.iidLoss < chosen.iidLoss ? next : chosen;
    return next.generalizationAccuracy >= chosen.generalizationAccuracy ? next : chosen;
  });
}
