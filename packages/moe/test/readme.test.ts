/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as moe from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/moe': moe,
  '@tensorflow/tfjs-core': tf,
};

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a mixture of experts that learns, with all of them', async () => {
    const printed = await run(snippets[0] as string);
    const losses = printed.slice(0, -1).map((line) => line[1] as number);
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] as number));
    const [relativePerplexity, dead] = printed.at(-1) as number[];
    expect(relativePerplexity).toBeGreaterThan(0.9);
    expect(dead).toBe(0);
  });

  it('has a language model that learns the days of the week', async () => {
    const printed = await run(snippets[1] as string);
    const losses = printed.slice(0, -1).map((line) => line[1] as number);
    expect(losses.at(-1)).toBeLessThan(0.3 * (losses[0] as number));
    expect(printed.at(-1)?.[0]).toBe(1);
  });

  it('names all choices', () => {
    for (const name of [...moe.ROUTINGS, ...moe.REGULARIZATIONS, ...moe.EXPERT_INITIALIZATIONS]) {
      expect(readme).toContain(`'${name}'`);
    }
    expect(snippets).toHaveLength(2);
  });
});
