/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as ndr from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/ndr': ndr,
  '@tensorflow/tfjs-core': tf,
};

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a router that learns, and shows what it does', async () => {
    const printed = await run(snippets[0] as string);
    const losses = printed.slice(0, -1).map((line) => line[1] as number);
    expect(losses.at(-1)).toBeLessThan(0.2 * (losses[0] as number));
    expect(printed.at(-1)).toEqual([4, [3, 1, 4, 4], [3, 4, 32]]);
  });

  it('has a Transformer that learns its sentence', async () => {
    expect(await run(snippets[1] as string)).toEqual([['4 4 3']]);
  });

  it('lists all layers', () => {
    for (const name of ndr.COLUMN_LAYERS) expect(readme).toContain(`| \`${name}\` |`);
    expect(snippets).toHaveLength(2);
  });
});
