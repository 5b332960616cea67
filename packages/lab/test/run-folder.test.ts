import { rmSync, writeFileSync } from 'node:fs';
import { CorruptFileError } from '@fwp/core';
import { describe, expect, it } from 'vitest';
import { prepareCheckpoints } from '../src/checkpoints.ts';
import { UsageError } from '../src/errors.ts';
import { readRun, runPaths } from '../src/run-folder.ts';
import { writeRunFixture } from './report/run-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

describe('a damaged run folder', () => {
  it.each([
    ['config', '{"version":1}', 'config.json is damaged: expected string in field id, found undefined'],
    ['config', 'null', 'expected number in field version, found undefined'],
    ['config', '{', 'run it anew'],
    ['results', '{"version":1}', 'results.json is damaged: expected string in field id, found undefined'],
    ['results', '[]', 'Remove it, and the trials are computed again by: fwp resume '],
    ['results', '{', 'Remove it, and the trials are computed again by: fwp resume '],
  ] as const)('%s.json %s', async (file, content, message) => {
    const folder = await writeRunFixture();
    writeFileSync(runPaths(folder)[file], content);
    await expect(readRun(folder)).rejects.toThrow(CorruptFileError);
    await expect(readRun(folder)).rejects.toThrow(message);
  });

  it('is not called damaged where another version wrote it', async () => {
    const folder = await writeRunFixture();
    writeFileSync(runPaths(folder).results, '{"version":2}');
    await expect(readRun(folder)).rejects.toThrow(/expected version 1 of the format, found 2\.$/);
  });

  it('without results is a run that has just begun', async () => {
    const folder = await writeRunFixture();
    rmSync(runPaths(folder).results);
    expect((await readRun(folder)).results).toMatchObject({ state: 'running', rows: [] });
  });

  it('with a file in the place of the checkpoints', async () => {
    const { checkpoints } = runPaths(temporaryFolder());
    writeFileSync(checkpoints, '');
    await expect(prepareCheckpoints(checkpoints, undefined)).rejects.toThrow(UsageError);
    await expect(prepareCheckpoints(checkpoints, undefined)).rejects.toThrow('checkpoints is a file');
  });
});
