/** Where what the command prints goes to. */

import { expect, it } from 'vitest';
import { fwp, startFwp } from './fwp.ts';

it('a reader that went away is no error', async () => {
  const { child, ended } = startFwp(['run', '--help']);
  child.stdout?.destroy();
  expect(await ended).toEqual({ status: 0, stdout: '', stderr: '' });
}, 60_000);

it.skipIf(process.platform !== 'linux')(
  'a full disk is',
  async () => {
    const toFullDisk = ['sh', '-c', 'exec "$@" > /dev/full', 'sh'];
    const { status, stderr } = await fwp(['run', '--help'], { prefix: toFullDisk });
    expect(status).not.toBe(0);
    expect(stderr).toContain('ENOSPC');
  },
  60_000,
);
