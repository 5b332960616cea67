/** Every `ts` block of the README prints what the `text` block after it says. (`js` blocks would need a network.) */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import * as corpora from '../src/corpora/index.ts';
import * as environments from '../src/environments/index.ts';
import * as datasets from '../src/index.ts';
import { temporaryFolder } from './corpora/folder.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```ts\n(.*?)```\n\n```text\n(.*?)```/gs)].map(
  ([, code, output]) => [code as string, output as string] as const,
);

/** Runs an example, whose imports become constants, and returns what it prints. */
function run(code: string): string {
  const body = code.replaceAll(/^import \{(.*)\} from '(.*)';$/gm, "const {$1} = modules['$2'];");
  const printed: string[] = [];
  const modules = {
    '@fwp/datasets': datasets,
    '@fwp/datasets/corpora': corpora,
    '@fwp/datasets/environments': environments,
  };
  const console = { log: (...values: unknown[]) => printed.push(`${format(...values)}\n`) };
  new Function('modules', 'console', body)(modules, console);
  return printed.join('');
}

const folder = temporaryFolder();

describe('README', () => {
  beforeAll(() => {
    writeFileSync(join(folder, 'my-text.txt'), 'the cat and the dog\n'.repeat(500));
    process.chdir(folder);
  });

  test('all its examples are here', () => {
    expect(examples.length).toBe(readme.match(/```ts\n/g)?.length);
    expect(examples.length).toBeGreaterThan(9);
  });

  test.each(examples)('%s', (code, output) => {
    expect(run(code)).toBe(output);
  });
});
