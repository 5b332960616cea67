import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stageFolder } from '../../src/setup/staged-folder.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { writeFiles } from './fake-programs.ts';

/** The id of a process that is no more, as no process has one so high. */
const GONE = 2 ** 22 + 1;

const fill = (text: string) => async (folder: string) => writeFileSync(join(folder, 'file'), text);

describe('stageFolder', () => {
  it('replaces what was there, all at once', async () => {
    const root = temporaryFolder();
    const place = join(root, 'place');
    await stageFolder(place, fill('first'));
    await stageFolder(place, async (folder) => {
      await fill('second')(folder);
      expect(readFileSync(join(place, 'file'), 'utf8')).toBe('first');
    });
    expect(readFileSync(join(place, 'file'), 'utf8')).toBe('second');
    expect(readdirSync(root)).toEqual(['place']);
  });

  it('leaves what was there when building fails', async () => {
    const root = temporaryFolder();
    const place = join(root, 'place');
    const fail = async (): Promise<void> => Promise.reject(new Error('no'));
    await expect(stageFolder(place, fail)).rejects.toThrow('no');
    expect(readdirSync(root)).toEqual([]);
    await stageFolder(place, fill('first'));
    await expect(stageFolder(place, fail)).rejects.toThrow('no');
    expect(readFileSync(join(place, 'file'), 'utf8')).toBe('first');
    expect(readdirSync(root)).toEqual(['place']);
  });

  it('clears up after processes that were killed, and puts back what one had moved away', async () => {
    const root = temporaryFolder();
    const place = join(root, 'place');
    const alive = `place.new-${process.ppid}`;
    writeFiles(root, { [`place.new-${GONE}/file`]: 'half', [`place.old-${GONE}/file`]: 'old', [`${alive}/file`]: '' });
    writeFiles(root, { 'placebo.new-1x/file': '', 'place.newer/file': '' });
    await expect(stageFolder(place, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(readFileSync(join(place, 'file'), 'utf8')).toBe('old');
    expect(readdirSync(root).sort()).toEqual(['place', alive, 'place.newer', 'placebo.new-1x'].sort());
    expect(existsSync(join(root, `place.new-${GONE}`))).toBe(false);
  });
});
