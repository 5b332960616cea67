/** The snippet of the README runs, and does what it says. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as hybrid from '../src/index.ts';

const MODULES: Record<string, object> = { '@fwp/core': core, '@fwp/hybrid': hybrid, '@tensorflow/tfjs-core': tf };

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a language model that learns its text by heart', async () => {
    const printed = await runSnippet(snippets[0] as string, MODULES);
    expect(printed).toHaveLength(3);
    expect(printed[1]![1]).toBeLessThan(0.1 * (printed[0]![1] as number) + 0.1);
    expect(printed[2]).toEqual([' holds the last words, the fast weights hold the rest of the']);
    expect(snippets).toHaveLength(1);
  }, 60_000);

  it('lists all blends, mixers and options', () => {
    for (const name of [...hybrid.BLENDS, ...hybrid.MEMORY_MIXERS]) expect(readme).toContain(`| \`${name}\` |`);
    for (const rule of hybrid.FAST_WEIGHT_RULES) expect(readme).toContain(`\`${rule}\``);
  });
});
