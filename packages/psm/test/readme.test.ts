/** The snippets of the README run, and print what it says. */

import * as core from '@fwp/core';
import { readPage, runSnippet } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import * as psm from '../src/index.ts';

const MODULES: Record<string, object> = { '@fwp/core': core, '@fwp/psm': psm, '@tensorflow/tfjs-core': tf };

const { snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
    await core.dispose();
  });

  it('has a model that goes on counting beyond the length of its training, and a stream', async () => {
    const printed = (await run(snippets[0] as string)).map((line) => String(line[0]));
    expect(printed[0]).toMatch(/^(99\.\d|100\.0) % of the labels are right$/);
    expect(printed[1]).toBe('72 = 0b1001000: 2 roots');
  }, 60_000);

  it('has a DeltaNet as a scan of the affine monoid', async () => {
    const [fused, tree] = await run(snippets[1] as string);
    expect(fused).toEqual(['matrix', Float32Array.of(5, 0, 5, 6, 7, 6)]);
    expect(tree).toEqual([Float32Array.of(5, 0, 5, 6, 7, 6)]);
    expect(snippets).toHaveLength(2);
  });
});
