/**
 * Reads CommonJS files of a package with other modules in place of some that they require.
 *
 * This is how the kernels of tfjs-node share the program's own copy of tfjs-core, wherever the package lies, and how
 * functions that Node has removed are there for them and for nobody else.
 */

import { isNode } from '../engine/platform.ts';

/** Reads a CommonJS file, by its absolute path, and those that it requires by relative ones; gives what it exports. */
export type CommonJsReader = (path: string) => Record<string, unknown>;

/**
 * Makes a reader, which runs each file once, however often it's read or required.
 *
 * @param replacements modules by the name under which they are required; all other names are left to Node
 * @throws Error outside of Node
 */
export async function commonJsReader(replacements: Readonly<Record<string, unknown>>): Promise<CommonJsReader> {
  if (!isNode()) throw new Error('CommonJS files can only be read in Node.js.');
  const { readFileSync } = await import('node:fs');
  const { createRequire } = await import('node:module');
  const { dirname } = await import('node:path');
  const { compileFunction } = await import('node:vm');
  const modules = new Map<string, { exports: Record<string, unknown> }>();

  return function read(path) {
    const known = modules.get(path);
    if (known !== undefined) return known.exports;
    // Known before it's run, as two files may require each other.
    const module = { exports: {} as Record<string, unknown> };
    modules.set(path, module);
    const requireOther = createRequire(path);
    const requireHere = (name: string): unknown => {
      if (Object.hasOwn(replacements, name)) return replacements[name];
      return name.startsWith('.') ? read(requireOther.resolve(name)) : requireOther(name);
    };
    const parameters = ['exports', 'require', 'module', '__filename', '__dirname'];
    const run = compileFunction(readFileSync(path, 'utf8'), parameters, { filename: path });
    run(module.exports, requireHere, module, path, dirname(path));
    return module.exports;
  };
}
