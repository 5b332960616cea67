import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commonJsReader } from '../../src/device/common-js.ts';

const folder = mkdtempSync(join(tmpdir(), 'fwp-common-js-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes modules, and gives the path of the first. */
function modules(files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return join(folder, Object.keys(files)[0] as string);
}

describe('commonJsReader', () => {
  it('gives every file the replacements, and Node’s own modules otherwise', async () => {
    const path = modules({
      'a/main.js': "exports.sum = require('numbers').one + require('./b').two; exports.sep = require('path').sep;",
      'a/b.js': "exports.two = 2 * require('numbers').one;",
    });
    expect((await commonJsReader({ numbers: { one: 1 } }))(path)).toEqual({ sum: 3, sep: '/' });
  });

  it('runs each file once, also where two require each other, and takes module.exports', async () => {
    const path = modules({
      'c/main.js': "const other = require('./other.js'); exports.name = 'main'; exports.other = other();",
      'c/other.js': "const main = require('./main'); module.exports = () => 'other of ' + main.name;",
    });
    const read = await commonJsReader({});
    expect(read(path)).toMatchObject({ name: 'main', other: 'other of main' });
    expect(read(path)).toBe(read(path));
  });

  it('throws what a file throws', async () => {
    const path = modules({ 'd/main.js': "throw new Error('no such luck');" });
    const read = await commonJsReader({});
    expect(() => read(path)).toThrow('no such luck');
    expect(() => read(modules({ 'd/other.js': "require('./absent');" }))).toThrow(/absent/);
  });
});
