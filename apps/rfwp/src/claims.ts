/** What the paper says about the models, decided by the fractions of sequences and of labels that are right. */

import type { Verdict } from '@fwp/lab';
import type { ModelName } from './training.ts';

/** A row of the results, as far as the claims look at it. */
export interface AccuracyRow {
  readonly model: ModelName;
  readonly sequenceAccuracy: number;
  readonly labelAccuracy: number | null;
}

type Field = 'sequenceAccuracy' | 'labelAccuracy';

/** Whether the worst of some models is above a reference by more than a margin. */
export function exceeds(
  rows: readonly AccuracyRow[],
  models: readonly ModelName[],
  reference: ModelName,
  { field, margin }: { readonly field: Field; readonly margin: number },
): Verdict | undefined {
  const theirs = rows.find(({ model }) => model === reference)?.[field];
  const ours = rows.filter((row) => models.includes(row.model) && row[field] !== null);
  if (theirs === undefined || theirs === null || ours.length === 0) return undefined;
  return {
    pass: ours.every((row) => (row[field] as number) > theirs + margin),
    observed: `${ours.map((row) => `${row.model} ${percent(row[field] as number)}`).join(', ')}; ${reference} ${percent(theirs)}`,
  };
}

/** Whether the best of some models is at least as good as a reference. */
export function bestReaches(
  rows: readonly AccuracyRow[],
  models: readonly ModelName[],
  reference: ModelName,
  field: Field,
): Verdict | undefined {
  const theirs = rows.find(({ model }) => model === reference)?.[field];
  const ours = rows.filter((row) => models.includes(row.model) && row[field] !== null);
  if (theirs === undefined || theirs === null || ours.length === 0) return undefined;
  return {
    pass: ours.some((row) => (row[field] as number) > 0 && (row[field] as number) >= theirs),
    observed: `${ours.map((row) => `${row.model} ${percent(row[field] as number)}`).join(', ')}; ${reference} ${percent(theirs)}`,
  };
}

/** `12.3 %`. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}
