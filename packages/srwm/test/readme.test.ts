/** The snippets of the README run, and do what they say. */

import { readFileSync } from 'node:fs';
import * as core from '@fwp/core';
import * as datasets from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as srwm from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/datasets': datasets,
  '@fwp/srwm': srwm,
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
