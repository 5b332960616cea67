/** The text that needs no download is what it says, and every kind of text can be opened. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openText, textSettings } from '../src/text.ts';

const settings = z.object(textSettings);
const folder = mkdtempSync(join(tmpdir(), 'fwp-moe-lm-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('openText', () => {
  it('the code of TensorFlow.js: a megabyte of it, without licences, source maps and bundles', async () => {
    const text = await openText(settings.parse({}), 1);
    expect(text.vocabularySize).toBe(256);
    expect(text.train.length).toBeGreaterThan(9e5);
    expect(text.validation.length).toBeGreaterThan(4e4);
    for (const part of [text.train, text.validation]) {
      const content = new TextDecoder().decode(Uint8Array.from(part.read(0, part.length)));
      expect(content.includes('export function')).toBe(true);
      const unwanted = ['Apache License', 'sourceMappingURL'];
      expect(unwanted.filter((words) => content.includes(words))).toEqual([]);
      expect(Math.max(...content.split('\n').map((line) => line.length))).toBeLessThan(5000);
    }
  });

  it('files as bytes and as subwords', async () => {
    const path = join(folder, 'text');
    writeFileSync(path, 'the cat and the dog\n'.repeat(500));
    const bytes = await openText(settings.parse({ corpus: path, trainBytes: 1000 }), 1);
    expect([bytes.train.length, bytes.bytesPerToken]).toEqual([1000, 1]);
    bytes.close();
    const subwords = await openText(settings.parse({ corpus: path, tokens: 'subwords', subwords: 264 }), 1);
    expect(subwords.vocabularySize).toBe(264);
    expect(subwords.bytesPerToken).toBeGreaterThan(1.5);
    expect(Math.round(subwords.validation.length * subwords.bytesPerToken)).toBe(500);
  });
});
