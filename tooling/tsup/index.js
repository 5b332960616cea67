/**
 * The one build configuration of the publishable packages: ES modules only, flat in dist/, with declarations and
 * source maps, for Node and browsers alike. A package's tsup.config.ts is one call to `library`.
 */
import { defineConfig } from 'tsup';

/** @type {typeof import('./index.js').library} */
export const library = ({ dts = {}, ...options } = {}) =>
  defineConfig({
    entry: ['src/index.ts'],
    format: ['esm'],
    platform: 'neutral',
    target: 'es2022',
    outDir: 'dist',
    // The packages it depends on have been built: reading their declarations takes half the time of reading their sources.
    dts: dts && { compilerOptions: { customConditions: [] }, ...dts },
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: false,
    ...options,
    external: [/^node:/, ...(options.external ?? [])],
    // tfjs-core registers its gradients only in files that Node cannot import by themselves; they are bundled in. What
    // they share with the program's own tfjs (engine, registries) is global, so that one copy more does no harm.
    noExternal: [/^@tensorflow\/tfjs-core\/dist\//, ...(options.noExternal ?? [])],
  });
