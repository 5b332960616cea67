/**
 * A plugin for imports from inside tfjs-core (`@tensorflow/tfjs-core/dist/…`, where the gradients are). Those files are
 * hundreds of ES modules that Node cannot import by themselves; each import is bundled once per tfjs version, as the
 * package build does, and kept in node_modules/.cache.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const INTERNAL = /^@tensorflow\/tfjs-core\/dist\/(?!tf-core)/;
const CACHE = fileURLToPath(new URL('node_modules/.cache/tfjs', import.meta.url));

/** The bundle of one internal file, built if it is not there yet. */
async function bundled(id, importer) {
  const require = createRequire(importer);
  const { version } = JSON.parse(readFileSync(require.resolve('@tensorflow/tfjs-core/package.json'), 'utf8'));
  const name = id.replace(/[^\w.-]+/g, '-').replace(/^-+|\.js$/g, '');
  const outfile = join(CACHE, `${name}-${version}.mjs`);
  if (existsSync(outfile)) return outfile;
  mkdirSync(CACHE, { recursive: true });
  const temporary = `${outfile}.${process.pid}.tmp`;
  await build({
    entryPoints: [require.resolve(id)],
    outfile: temporary,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    mainFields: ['module', 'main'],
    logLevel: 'error',
  });
  renameSync(temporary, outfile);
  return outfile;
}

/** Vite plugin that resolves tfjs-core's internal files to such bundles. */
export function tfjsInternals() {
  return {
    name: 'fwp:tfjs-internals',
    enforce: 'pre',
    async resolveId(id, importer) {
      if (!INTERNAL.test(id) || importer === undefined) return null;
      return bundled(id, importer.replace(/\?.*$/, ''));
    },
  };
}
