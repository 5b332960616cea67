/** `pnpm bench --profile`: where the time of a training step goes, by kernel. */

import { CASES } from './catalog.ts';
import { PeerProcess } from './harness/peer-process.ts';
import { commandFor, configurations, defaultDevices, keyOf } from './harness/peers.ts';
import type { CallProfile } from './harness/protocol.ts';
import type { Options } from './options.ts';
import { digits, percent, textTable } from './report/format.ts';

/** Roughly how long each profile runs, in milliseconds. */
const DURATION = 2000;
/** Kernels with less than this fraction of the time are summed up in one line. */
const SMALL = 0.01;
const DEADLINE = 120_000;

/** Prints one table for each training step, device and thread count. */
export async function profileTraining(options: Options): Promise<void> {
  const devices = options.devices ?? defaultDevices(false);
  for (const entry of configurations(devices, [], options.threads)) {
    const peer = await PeerProcess.start(commandFor(entry, ''));
    for (const { suite, name, program, parameters } of CASES) {
      if (suite !== 'training') continue;
      const { call } = await peer.prepare({ program, parameters, warmUp: 300 }, DEADLINE);
      const profile = await peer.profile(Math.max(1, Math.round(DURATION / call)));
      console.log(`\n${name}, ${keyOf(entry)}: ${digits(profile.milliseconds)} ms\n${profileTable(profile)}`);
    }
    await peer.close();
  }
}

/** Kernels by time; what is outside all kernels (JavaScript: tfjs, its tape, allocation) is a line of its own. */
export function profileTable({ milliseconds, kernels }: CallProfile): string {
  const large = kernels.filter((row) => row.milliseconds >= SMALL * milliseconds);
  const small = kernels.filter((row) => !large.includes(row));
  const inside = kernels.reduce((sum, row) => sum + row.milliseconds, 0);
  const total = (rows: CallProfile['kernels'], key: 'calls' | 'milliseconds'): number =>
    rows.reduce((sum, row) => sum + row[key], 0);
  const rows = large.map((row) => [
    row.name,
    String(row.calls),
    digits(row.milliseconds),
    percent(row.milliseconds / milliseconds),
  ]);
  const others = total(small, 'milliseconds');
  rows.push([`${small.length} others`, String(total(small, 'calls')), digits(others), percent(others / milliseconds)]);
  rows.push(['outside kernels', '', digits(milliseconds - inside), percent((milliseconds - inside) / milliseconds)]);
  return textTable(['kernel', 'calls', 'ms', ''], rows);
}
