#!/usr/bin/env node
/** `fwp-build-native`: builds the native engine inside the installed package; `--force` rebuilds it. */
import { fileURLToPath } from 'node:url';
import { buildNative } from './native.mjs';

const force = process.argv.includes('--force');
const packageDir = fileURLToPath(new URL('..', import.meta.url));
try {
  const { message } = await buildNative({ packageDir, force, log: (line) => console.error(line) });
  console.log(`@fwp/core: ${message}`);
} catch (error) {
  console.error(`@fwp/core: ${error.message}`);
  process.exitCode = 1;
}
