/**
 * Delayed recall: a cue, many tokens that say nothing, then the question which cue it was.
 *
 *     b · ‐ · · ‐ … ‐ ·  ?   →   b at the question mark
 *
 * Only the last target counts. A gradient that is cut off after fewer steps than `delay` never connects the answer with the
 * cue: what truncated backpropagation through time cannot learn and real-time recurrent learning can.
 */

import { assertInteger, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';

/** Options of {@link delayedRecall}. */
export interface DelayedRecallOptions extends TaskOptions {
  /** Distractors between cue and question in a training sequence. Default 100. */
  readonly delay?: number;
  /** Distractors in a validation or test sequence. Default: `delay`. */
  readonly evaluationDelay?: number;
  /** Different cues. Default 4. */
  readonly cues?: number;
  /** Different distractors. Default 3. */
  readonly distractors?: number;
}

/**
 * Delayed recall. A sequence has delay + 2 tokens: cues are 0 … cues − 1, distractors follow, the question is the last token
 * of the vocabulary. The target at the question is the cue; chance is 1 / cues.
 *
 * @throws RangeError if an option is out of range
 */
export function delayedRecall({
  delay = 100,
  evaluationDelay = delay,
  cues = 4,
  distractors = 3,
  seed = 0,
}: DelayedRecallOptions = {}): TokenTask {
  const name = 'delayed-recall';
  assertInteger(`${name}: delay`, delay, 0);
  assertInteger(`${name}: evaluationDelay`, evaluationDelay, 0);
  assertInteger(`${name}: cues`, cues, 2, 2 ** 20);
  assertInteger(`${name}: distractors`, distractors, 1, 2 ** 20);
  const question = cues + distractors;
  const lengths = { train: delay + 2, validation: evaluationDelay + 2, test: evaluationDelay + 2 };
  return tokenTask({ name, vocabularySize: question + 1, targetCount: cues, lengths }, seed, (row, random) => {
    const last = row.inputs.length - 1;
    const cue = random.integer(cues);
    row.inputs[0] = cue;
    for (let t = 1; t < last; t++) row.inputs[t] = cues + random.integer(distractors);
    row.inputs[last] = question;
    row.targets[last] = cue;
    row.mask[last] = 1;
  });
}
