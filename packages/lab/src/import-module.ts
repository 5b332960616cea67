/** Imports modules of the user's: JavaScript, and TypeScript, which is compiled on the way. */

import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPESCRIPT = ['.ts', '.mts', '.cts', '.tsx'];

/** Imports a file. */
export async function importModule(file: string): Promise<Record<string, unknown>> {
  if (TYPESCRIPT.includes(extname(file))) await acceptTypeScript();
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    const isNoModule = error instanceof SyntaxError && /import statement|Unexpected token 'export'/.test(error.message);
    if (!isNoModule) throw error;
    throw new SyntaxError(
      `${error.message}. Node.js takes .js files for CommonJS here: rename it to .mjs, or set "type": "module" in package.json.`,
      { cause: error },
    );
  }
}

let acceptsTypeScript = false;

/** From now on this process imports TypeScript files as well. They share all other modules with it. */
async function acceptTypeScript(): Promise<void> {
  if (acceptsTypeScript) return;
  const { register } = await import('tsx/esm/api');
  register();
  const hooks = await import('node:module');
  hooks.register(`data:text/javascript,${encodeURIComponent(TYPESCRIPT_AS_MODULES)}`);
  acceptsTypeScript = true;
}

/**
 * A hook around those of tsx. In a project that isn't `"type": "module"` they would load TypeScript as CommonJS, which can't
 * have the modules that this process has: it would get second copies of them, or none.
 */
const TYPESCRIPT_AS_MODULES = `export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  const isTaken = found.format === 'commonjs' && /\\.tsx?(\\?|$)/.test(found.url) && !found.url.includes('/node_modules/');
  return isTaken ? { ...found, format: 'module' } : found;
}`;
