/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as ksom from '../src/index.ts';

const MODULES: Record<string, object> = { '@fwp/core': core, '@fwp/ksom-vq': ksom, '@tensorflow/tfjs-core': tf };

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a map that orders a square', async () => {
    const printed = await run(snippets[0] as string);
    const [, codes] = printed.at(-2) as [number[], number[][]];
    expect(printed.at(-2)?.[0]).toEqual([8, 8]);
    expect(Math.hypot((codes[0]?.[0] as number) - 0.5, (codes[0]?.[1] as number) - 0.5)).toBeLessThan(0.1);
    expect(printed.at(-1)?.[0]).toBeLessThan(0.5);
  });

  it('has a model that learns', async () => {
    const printed = await run(snippets[1] as string);
    expect(printed[1]?.[1]).toBeLessThan(printed[0]?.[1] as number);
    expect(printed.at(-1)).toEqual([
      [4, 4, 4],
      [4, 16, 16, 3],
    ]);
  });

  it('names every class', () => {
    for (const name of ['KohonenQuantizer', 'ResidualQuantizer', 'ProductQuantizer', 'OnlineSom', 'VqVae', 'VqVae2']) {
      expect(ksom).toHaveProperty(name);
      expect(readme).toContain(`| \`${name}\` |`);
    }
    expect(snippets).toHaveLength(2);
  });
});
