/** The snippets of the README run, and do what they say. */

import { readFileSync } from 'node:fs';
import * as core from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as ndr from '../src/index.ts';

const MODULES: Record<string, object> = {
  '@fwp/core': core,
  '@fwp/ndr': ndr,
  '@tensorflow/tfjs-core': tf,
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string);

/** Runs a module's text, with its imports taken from {@link MODULES}; returns what it printed. */
async function run(snippet: string): Promise<unknown[][]> {
  const body = snippet
    .replace(/^import \{([^}]*)\} from '(.*)';$/gm, "const {$1} = modules['$2'];")
    .replace(/^import \* as (\w+) from '(.*)';$/gm, "const $1 = modules['$2'];")
    .replace(/(?: as|:) tf\.[A-Z]\w*/g, '');
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
