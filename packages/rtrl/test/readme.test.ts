/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import * as environments from '@fwp/datasets/environments';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as rtrl from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/datasets/environments': environments,
  '@fwp/rtrl': rtrl,
  '@tensorflow/tfjs-core': tf,
};

const { snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a stream in which a bit is remembered, learned online', async () => {
    const errors = (await run(snippets[0] as string)).map((line) => line[1] as number);
    expect(errors).toHaveLength(6);
    // A guess costs 1.
    expect(errors.at(-1)).toBeLessThan(0.1);
  });

  it('has an actor-critic that goes on where its last rollout ended', async () => {
    // 15 steps in episodes of 7.
    expect(await run(snippets[1] as string)).toEqual([[1]]);
    expect(snippets).toHaveLength(2);
  });
});
