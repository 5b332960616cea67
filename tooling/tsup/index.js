/**
 * The one build configuration of the publishable packages: ES modules only, flat in dist/, with declarations and
 * source maps, for Node and browsers alike. A package's tsup.config.ts is one call to `library`.
 */
import { defineConfig } from 'tsup';

/** @type {typeof import('./index.js').library} */
export const library = (options = {}) =>
  defineConfig({
    entry: ['src/index.ts'],
    format: ['esm'],
    platform: 'neutral',
    target: 'es2022',
    outDir: 'dist',
    dts: true,
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: false,
    ...options,
    external: [/^node:/, ...(options.external ?? [])],
  });
