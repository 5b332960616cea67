/** A plugin by which tests that import fast-check get `seeded-fast-check.js`; that module alone gets the library. */
import { fileURLToPath } from 'node:url';

const SEEDED = fileURLToPath(new URL('seeded-fast-check.js', import.meta.url));

/** The plugin, for Vite. */
export function seedFastCheck() {
  return {
    name: 'fwp:seed-fast-check',
    enforce: 'pre',
    resolveId: (id, importer) => (id === 'fast-check' && importer !== SEEDED ? SEEDED : null),
  };
}
