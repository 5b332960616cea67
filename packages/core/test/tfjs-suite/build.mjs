/** Bundles tfjs's tests with our backend into one file. */
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const packageDir = join(here, '..', '..');

/** Builds the bundle and returns its path. */
export async function buildSuite() {
  const outfile = join(packageDir, 'node_modules', '.cache', 'tfjs-suite', 'suite.mjs');
  await build({
    entryPoints: [join(here, 'suite.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    conditions: ['@fwp/source'],
    // tfjs's "module" entries are its ES modules; its "main" is a bundle, which would be a second copy.
    mainFields: ['module', 'main'],
    // tfjs declares its tests free of side effects; they would be left out.
    ignoreAnnotations: true,
    // The kernels' files lie at addresses relative to the sources.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(packageDir, 'src', 'index.ts')).href) },
    banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
    plugins: [jasmineCore],
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'error',
  });
  return outfile;
}

/** tfjs loads the jasmine of its day to set a time limit; it gets the one that runs. */
const jasmineCore = {
  name: 'jasmine-core',
  setup(builder) {
    builder.onResolve({ filter: /^jasmine-core\// }, () => ({ path: 'jasmine-core', namespace: 'running' }));
    builder.onLoad({ filter: /.*/, namespace: 'running' }, () => ({
      contents: 'module.exports = { core: () => globalThis.jasmine };',
    }));
  },
};
