/** The snippet of the README runs, and does what it says. */

import * as core from '@fwp/core';
import * as deltanet from '@fwp/deltanet';
import { readPage, runSnippet } from '@fwp/testing';
import { afterEach, describe, expect, it } from 'vitest';
import * as rfwp from '../src/index.ts';

const MODULES: Record<string, object> = { '@fwp/core': core, '@fwp/rfwp': rfwp };

const { text: readme, snippets } = readPage(new URL('../README.md', import.meta.url));

const run = (snippet: string) => runSnippet(snippet, MODULES);

describe('README', () => {
  afterEach(async () => {
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
