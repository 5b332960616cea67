/** The snippet of the README runs, and does what it says. */

import { readFileSync } from 'node:fs';
import * as core from '@fwp/core';
import * as deltanet from '@fwp/deltanet';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as rfwp from '../src/index.ts';

const MODULES: Record<string, object> = { '@fwp/core': core, '@fwp/rfwp': rfwp };

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string);

/** Runs a module's text, with its imports taken from {@link MODULES}; returns what it printed. */
async function run(snippet: string): Promise<unknown[][]> {
  const body = snippet
    .replace(/^import \{([^}]*)\} from '(.*)';$/gm, "const {$1} = modules['$2'];")
    .replace(/(\w+): number\b/g, '$1');
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

  it('has a model that learns parity', async () => {
    const printed = (await run(snippets[0] as string)).map((line) => String(line[0]));
    expect(printed).toHaveLength(3);
    expect(printed.at(-1)).toMatch(/^step 600: (9\d|100) of 100 words/);
    expect(snippets).toHaveLength(1);
  }, 60_000);

  it('lists all mixers of this package', () => {
    const own = rfwp.MIXERS.filter((name) => !(deltanet.MIXERS as readonly string[]).includes(name));
    expect(own).toHaveLength(5);
    for (const name of own) expect(readme).toContain(`| \`${name}\` |`);
  });
});
