/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as deltanet from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/deltanet': deltanet,
  '@tensorflow/tfjs-core': tf,
};

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a language model that learns its text by heart', async () => {
    const printed = await run(snippets[0] as string);
    const losses = printed.slice(0, -1).map((line) => line[1] as number);
    expect(losses.at(-1)).toBeLessThan(0.1 * (losses[0] as number));
    expect(printed.at(-1)).toEqual([' weights of a slow net. the fast weights']);
  });

  it('has a stream that leaves nothing but its state', async () => {
    const before = tf.memory().numTensors;
    await run(snippets[1] as string);
    // The layer's two matrices and a state.
    expect(tf.memory().numTensors - before).toBe(3);
  });

  it('lists all mixers', () => {
    for (const name of deltanet.MIXERS) expect(readme).toContain(`| \`${name}\` |`);
    expect(snippets).toHaveLength(2);
  });
});
