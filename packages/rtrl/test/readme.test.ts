/** The snippets of the README run, and do what they say. */

import { readFileSync } from 'node:fs';
import * as core from '@fwp/core';
import * as environments from '@fwp/datasets/environments';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as rtrl from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/datasets/environments': environments,
  '@fwp/rtrl': rtrl,
  '@tensorflow/tfjs-core': tf,
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string);

/** Runs a module's text, with its imports taken from {@link MODULES}; returns what it printed. */
async function run(snippet: string): Promise<unknown[][]> {
  const body = snippet
    .replace(/^import \{([^}]*)\} from '(.*)';$/gm, "const {$1} = modules['$2'];")
    .replace(/^import \* as (\w+) from '(.*)';$/gm, "const $1 = modules['$2'];");
  const AsyncFunction = (async () => {}).constructor as new (...text: string[]) => (modules: object) => Promise<void>;
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await new AsyncFunction('modules', body)(MODULES);
  return log.mock.calls;
}

describe('README', () => {
  afterEach(async () => {
    vi.restoreAllMocks();
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
