/** A check of a device as text. */

import { describeDevice } from '../progress.ts';
import { formatNumber, NOTHING } from '../report/number-format.ts';
import { paint, textTable } from '../report/text-table.ts';
import { trialName } from '../trial-key.ts';
import { type DeviceCheck, LATER_FACTOR, type TensorDifference, type TrialCheck } from './check-device.ts';

/** Differences of one trial that are told. */
const MOST_TOLD = 5;

/** Said where devices disagree. */
const HINT = `  See whether other seeds agree (--seed 1..3): rounding that tips over a ReLU or a choice of experts shows in one of them,
  a wrong kernel in all.`;

/** A table of the trials, what differs, and the verdict. */
export function formatCheck(check: DeviceCheck, options: { readonly colors?: boolean } = {}): string {
  const { colors = false } = options;
  const { id, preset, device, against, trials } = check;
  const columns = ['trial', 'updates', 'loss', 'gradients', 'later', 'buffers'];
  const table = textTable(
    columns.map((title, index) => ({ title, align: index === 0 ? 'left' : 'right' })),
    trials.map(({ key, seed, updates, loss, gradients, later, buffers }) => [
      trialName(key, seed),
      String(updates),
      ...[loss, gradients, later, buffers].map(formatRelative),
    ]),
    { colors },
  );
  const differing = trials.flatMap(describeDifferences);
  const verdict = describeVerdict(check);
  return [
    `${id}, preset ${preset}: relative differences of ${describeDevice(device)}\nfrom ${describeDevice(against)}\n\n${table}`,
    ...(differing.length > 0 ? [differing.join('\n')] : []),
    colors ? paint(check.agrees ? 'green' : 'red', verdict) : verdict,
  ].join('\n\n');
}

function formatRelative(difference: number | null): string {
  if (difference === null) return NOTHING;
  return Number.isNaN(difference) ? '?' : formatNumber(Number(difference.toPrecision(2)));
}

function describeDifferences({ key, seed, differences }: TrialCheck): string[] {
  if (differences.length === 0) return [];
  const worst = [...differences].sort((a, b) => size(b) - size(a)).slice(0, MOST_TOLD);
  const others = differences.length - worst.length;
  return [
    trialName(key, seed),
    ...worst.map((difference) => `  ${describeDifference(difference)}`),
    ...(others > 0 ? [`  and ${others} more`] : []),
  ];
}

function describeDifference({ what, shape, difference, value, expected }: TensorDifference): string {
  const [ours, theirs] = [value, expected].map((each) => (each === null ? 'none' : formatNumber(each)));
  const relative = difference === null ? '' : ` differs by ${formatRelative(difference)} of it,`;
  return shape.length === 0
    ? `${what}:${relative} ${ours} instead of ${theirs}`
    : `${what} [${shape.join(', ')}]:${relative} norm ${ours} instead of ${theirs}`;
}

function size({ difference }: TensorDifference): number {
  return difference ?? Number.POSITIVE_INFINITY;
}

function describeVerdict({ trials, tolerance, agrees }: DeviceCheck): string {
  const total = (count: (trial: TrialCheck) => number): number => trials.reduce((sum, trial) => sum + count(trial), 0);
  const compared = `${total(({ compared }) => compared)} losses, gradients and buffers of ${trials.length} trials`;
  const limit = formatNumber(tolerance);
  const loose = ` (${formatNumber(LATER_FACTOR * tolerance)} after an update)`;
  if (agrees) return `✓ The devices agree: ${compared}, none differs by more than ${limit}${loose}.`;
  const differing = total(({ differences }) => differences.length);
  if (differing === 0) return '✗ Nothing was compared: no trial updates parameters, and none has buffers.';
  return `✗ The devices disagree: of ${compared}, ${differing} differ by more than ${limit}${loose}.\n${HINT}`;
}
