/** What ends a run early: Ctrl-C, and disks that take nothing. */

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readRun } from '../../src/index.ts';
import { expectSameRun } from '../same-run.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { firstCheckpoint, fwp, startFwp, TOY, until } from './fwp.ts';

const WASM = ['--device', 'wasm', '--threads', '1'];
/** Of so many trials a dry run is not at its end when it is stopped. */
const RATES = Array.from({ length: 200 }, (_, i) => 0.01 + i / 1e4).join();

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  it('once writes a checkpoint, says how to resume, and exits with status 130', async () => {
    const out = join(temporaryFolder(), 'run');
    const settings = ['--set', 'steps=1000', '--set', 'pause=20', '--checkpoint-every', '1'];
    const { child, ended } = startFwp(['run', TOY, ...WASM, ...settings, '--out', out, '--json']);
    await firstCheckpoint(out);
    child.kill('SIGINT');
    const { status, stdout, stderr } = await ended;
    expect(status).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/Interrupted with 0 of 2 trials finished\. Go on with: fwp resume /);
    expect((await readRun(out)).results.state).toBe('interrupted');
  }, 120_000);

  it('twice exits at once, where no step comes soon; nothing that was written is lost', async () => {
    const folder = temporaryFolder();
    const [out, reference, go] = [join(folder, 'run'), join(folder, 'reference'), join(folder, 'go')];
    const run = ['run', TOY, ...WASM, '--set', 'steps=4', '--set', `waitFor=${go}`];
    const { child, ended, output } = startFwp([...run, '--out', out]);
    await firstCheckpoint(out);
    // A terminal and a package manager may both send the same Ctrl-C: that is one.
    child.kill('SIGINT');
    child.kill('SIGINT');
    await until(() => output().includes('once more stops at once'));
    await setTimeout(300);
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    expect(status).toBe(130);
    expect(stderr).not.toContain('Interrupted');
    expect((await readRun(out)).results.state).toBe('running');
    writeFileSync(go, '');
    expect(await fwp(['resume', out, '--quiet'])).toMatchObject({ status: 0, stderr: '' });
    expect((await fwp([...run, '--out', reference, '--quiet'])).status).toBe(0);
    await expectSameRun(out, reference);
  }, 120_000);
});

describe.skipIf(process.platform === 'win32')('Ctrl-C in a dry run', () => {
  it.each([
    ['once, at the next step', '5', '', 1],
    ['twice, where no step comes', '0', 'never', 2],
  ])(
    '%s: its folder is gone',
    async (_when, pause, waitFor, times) => {
      const folder = temporaryFolder();
      const settings = ['--set', `pause=${pause}`, '--set', `waitFor=${waitFor}`, '--set', `rates=${RATES}`];
      const { child, ended } = startFwp(['run', TOY, ...WASM, ...settings, '--dry-run'], {
        cwd: folder,
        env: { ...process.env, TMPDIR: folder },
      });
      const runFolders = (): string[] => readdirSync(folder).filter((name) => name.startsWith('fwp-'));
      await until(() => runFolders().length > 0);
      await firstCheckpoint(join(folder, runFolders()[0] as string));
      child.kill('SIGINT');
      for (let more = times; more > 1; more--) {
        await setTimeout(300);
        expect(child.exitCode).toBeNull();
        child.kill('SIGINT');
      }
      const { status, stdout, stderr } = await ended;
      expect([status, stdout]).toEqual([130, '']);
      expect(stderr).toContain('Stopping at the next step; once more stops at once.');
      expect(runFolders()).toEqual([]);
    },
    120_000,
  );
});

describe.skipIf(process.platform === 'win32')('a disk', () => {
  it('that takes no more ends the run with an error; it goes on when there is space', async () => {
    const folder = temporaryFolder();
    const [out, reference] = [join(folder, 'run'), join(folder, 'reference')];
    const run = [
      'run',
      TOY,
      ...WASM,
      '--set',
      'steps=250',
      '--set',
      'rates=0.1',
      '--quiet',
      '--checkpoint-every',
      '100',
    ];
    // No file above 16 KiB: metrics.jsonl grows to it.
    const prefix = ['bash', '-c', 'ulimit -f 16; exec "$@"', 'bash'];
    const stopped = await fwp([...run, '--out', out], { prefix });
    expect(stopped.status).toBe(1);
    expect(stopped.stderr).toMatch(
      /^A file would exceed the limit of its size: .*\. Nothing that was written is lost; go on with: fwp resume .*\n$/,
    );
    expect((await readRun(out)).results).toMatchObject({ state: 'failed', error: expect.stringContaining('EFBIG') });
    expect(await fwp(['resume', out, '--quiet'])).toMatchObject({ status: 0, stderr: '' });
    expect((await fwp([...run, '--out', reference])).status).toBe(0);
    await expectSameRun(out, reference);
  }, 180_000);

  it.skipIf(process.platform !== 'linux')(
    'on which nothing may be written is refused',
    async () => {
      const { status, stderr } = await fwp(['run', TOY, ...WASM, '--out', '/sys/fwp-run']);
      expect(status).toBe(2);
      expect(stderr).toBe('Permission denied: /sys/fwp-run. Choose another folder with --out.\n');
    },
    60_000,
  );

  it('on which a file is in the way is refused', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    const { status, stderr } = await fwp(['run', TOY, ...WASM, '--out', join(file, 'run')]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/is not a folder/);
  }, 60_000);
});
