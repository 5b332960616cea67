/** The snippets of the README run, and do what they say. */

import * as core from '@fwp/core';
import * as datasets from '@fwp/datasets';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as srwm from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/datasets': datasets,
  '@fwp/srwm': srwm,
  '@tensorflow/tfjs-core': tf,
};

const { snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a model that learns to learn from one example', async () => {
    const losses = (await run(snippets[0] as string)).map((line) => line[1] as number);
    expect(losses).toHaveLength(5);
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.4);
  });

  it('has a bootstrapped loss', async () => {
    const [[loss]] = (await run(snippets[1] as string)) as [[number]];
    expect(loss).toBeGreaterThan(0);
    expect(loss).toBeLessThan(10);
    expect(snippets).toHaveLength(2);
  });
});
