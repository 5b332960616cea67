/** Snippets of a README, which run in the tests of its package. */

import { readFileSync } from 'node:fs';

/** A page, and the texts of its `ts` blocks. */
export function readPage(page: URL): { text: string; snippets: string[] } {
  const text = readFileSync(page, 'utf8');
  return { text, snippets: [...text.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string) };
}

/**
 * Runs a snippet.
 *
 * @param snippet the text of a module; of types only numbers and those of tfjs are understood, after `:` and `as`
 * @param modules what it may import, by name
 * @returns what it logged, line by line
 * @throws Error if it imports something else
 */
export async function runSnippet(
  snippet: string,
  modules: Readonly<Record<string, object>>,
): Promise<readonly unknown[][]> {
  for (const [, name = ''] of snippet.matchAll(/^import .* from '(.*)';$/gm)) {
    if (!Object.hasOwn(modules, name))
      throw new Error(`The snippet imports '${name}', which the test does not give it.`);
  }
  const body = snippet
    .replace(/^import \{([^}]*)\} from '(.*)';$/gm, "const {$1} = modules['$2'];")
    .replace(/^import \* as (\w+) from '(.*)';$/gm, "const $1 = modules['$2'];")
    .replace(/(?: as|:) (?:tf\.[A-Z]\w*|number)\b/g, '');
  const AsyncFunction = (async () => {}).constructor as new (
    ...text: string[]
  ) => (modules: object, console: object) => Promise<void>;
  const lines: unknown[][] = [];
  await new AsyncFunction('modules', 'console', body)(modules, { log: (...values: unknown[]) => lines.push(values) });
  return lines;
}
