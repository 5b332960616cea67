/** Which version of this package runs. */

import { readFile } from 'node:fs/promises';

/** This package's version. */
export async function labVersion(): Promise<string> {
  // Beside both src/ and dist/.
  const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
