/** Ranges of numbers that differ between training and evaluation: how long the sequences of a task are. */

import type { Random } from '../random.ts';
import { assertInteger, type Split } from '../task.ts';

/** A smallest and a largest number, both included. */
export type IntegerRange = readonly [least: number, most: number];

/** Each number of the range with the same probability. */
export function drawBetween([least, most]: IntegerRange, random: Random): number {
  return least + random.integer(most - least + 1);
}

/** A range for each split, checked; the options are those for training and evaluation. */
export function rangesBySplit(
  task: string,
  ranges: Record<string, IntegerRange>,
  least: number,
): Record<Split, IntegerRange> {
  for (const [option, [from, to]] of Object.entries(ranges)) {
    assertInteger(`${task}: ${option}[0]`, from, least);
    assertInteger(`${task}: ${option}[1]`, to, from);
  }
  const [train, evaluation] = Object.values(ranges) as [IntegerRange, IntegerRange];
  return { train, validation: evaluation, test: evaluation };
}
