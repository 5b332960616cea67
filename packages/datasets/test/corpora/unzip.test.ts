import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { extractFromZip } from '../../src/corpora/unzip.ts';
import { digest } from '../digest.ts';
import { temporaryFolder, writeText } from './folder.ts';

const folder = temporaryFolder();
const text = new TextEncoder().encode('A sentence that repeats itself. '.repeat(300));
const noise = text.map((byte, i) => (byte * 31 + i * i) % 251);
const archive = zipSync({
  'a/text': text,
  'a/noise': noise,
  'a/stored': [text, { level: 0 }],
  'a/empty': new Uint8Array(0),
});
const members = new Map([
  ['a/text', text],
  ['a/noise', noise],
  ['a/stored', text],
  ['a/empty', new Uint8Array(0)],
]);
/** A place for each member in a new folder. */
const newTargets = () => {
  const place = mkdtempSync(join(folder, 'out-'));
  return new Map([...members.keys()].map((name) => [name, join(place, name.slice(2))]));
};

test('extracts compressed, stored and empty members', async () => {
  const targets = newTargets();
  await extractFromZip(writeText(folder, 'whole.zip', archive), targets);
  for (const [name, path] of targets) expect(digest(readFileSync(path))).toBe(digest(members.get(name) as Uint8Array));
});

test('extracts no more than what is asked for', async () => {
  const targets = newTargets();
  const [wanted, other] = [...targets] as [[string, string], [string, string]];
  await extractFromZip(writeText(folder, 'part.zip', archive), new Map([wanted]));
  expect([existsSync(wanted[1]), existsSync(other[1])]).toEqual([true, false]);
});

test('an archive that ends too early is an error that names it', async () => {
  for (const length of [0, 10, 60, 120, 400]) {
    const path = writeText(folder, `short-${length}.zip`, archive.subarray(0, length));
    await expect(extractFromZip(path, newTargets())).rejects.toThrow(`short-${length}.zip`);
  }
});

test('a damaged archive is an error that names it, or shows in the contents', async () => {
  const changes = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 9,
  });
  await fc.assert(
    fc.asyncProperty(changes, async (flips) => {
      const damaged = archive.slice();
      for (const [place, mask] of flips) damaged[place] = (damaged[place] as number) ^ mask;
      const path = writeText(folder, 'damaged.zip', damaged);
      const targets = newTargets();
      const error = await extractFromZip(path, targets).then(
        () => undefined,
        (reason: Error) => reason,
      );
      if (error) expect(error.message).toContain('damaged.zip');
      else expect([...targets.values()].every((target) => existsSync(target))).toBe(true);
    }),
    { numRuns: 60 },
  );
});
