/** A run that is killed again and again, and one that is left alone. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import { readRun } from '../../src/index.ts';
import { expectSameRun } from '../same-run.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { firstCheckpoint, fwp, startFwp, TOY } from './fwp.ts';

/**
 * Kills a run with SIGKILL at random moments, resumes it each time, and expects what an undisturbed run gives.
 *
 * @param kills how often
 * @param options what to run, and within how many milliseconds after the first checkpoint of a session to kill it
 */
export async function expectKillsToLoseNothing(
  kills: number,
  options: { readonly device: string; readonly settings: readonly string[]; readonly within: number },
): Promise<void> {
  const folder = temporaryFolder();
  const [killed, reference] = [join(folder, 'killed'), join(folder, 'reference')];
  const session = ['--quiet', '--checkpoint-every', '4'];
  const run = ['run', TOY, '--device', options.device, ...options.settings.flatMap((text) => ['--set', text])];
  const delays: number[] = [];
  for (let i = 0; i < kills; i++) {
    const { child, ended } = startFwp(i === 0 ? [...run, '--out', killed, ...session] : ['resume', killed, ...session]);
    await Promise.race([firstCheckpoint(killed), ended]);
    // Sometimes while the next session is starting still.
    delays.push(Math.random() * options.within);
    await setTimeout(delays.at(-1));
    child.kill('SIGKILL');
    expect((await ended).stderr).toBe('');
    if ((await readRun(killed)).results.state === 'complete') break;
  }
  const resumed = await fwp(['resume', killed, '--quiet']);
  expect(resumed, `killed after ${delays.join(', ')} ms`).toMatchObject({ status: 0, stderr: '' });
  expect((await fwp([...run, '--out', reference, '--quiet'])).status).toBe(0);
  await expectSameRun(killed, reference);
  expect(existsSync(join(killed, 'lock.json'))).toBe(false);
}
