/**
 * Builds the binaries of packages/core/csrc into packages/core/kernels:
 * `node build.mjs [--wasm] [--native] [--force] [--package <dir>]` (both halves without a choice).
 *
 * Outputs that are up to date are left alone, and so are object files, which are kept in kernels/objects. FWP_NATIVE=0 leaves
 * the native engine out; FWP_NATIVE=1 makes its absence an error; CC chooses the compiler.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNative } from '../../packages/core/build/native.mjs';
import { buildWasm } from './wasm.mjs';

const { values } = parseArgs({
  options: {
    wasm: { type: 'boolean', default: false },
    native: { type: 'boolean', default: false },
    force: { type: 'boolean', default: false },
    package: {
      type: 'string',
      default: fileURLToPath(new URL('../../packages/core', import.meta.url)),
    },
  },
});
const both = values.wasm === values.native;
const packageDir = resolve(values.package);
const options = {
  packageDir,
  objects: join(packageDir, 'kernels', 'objects'),
  force: values.force,
  log: (line) => console.error(line),
};

try {
  if (both || values.wasm) {
    const built = await buildWasm(options);
    console.log(built.length ? `built ${built.join(', ')}` : 'WebAssembly kernels are up to date');
  }
  if (both || values.native) console.log((await buildNative(options)).message);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
