/** Experiments in files of every kind of module, for a process of its own: the one that tests run in imports by other rules. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../temporary-folder.ts';
import { fwp } from './fwp.ts';

const PACKAGE = join(import.meta.dirname, '../..');

const DEFINITION = `defineExperiment({
  id: 'mine/one',
  title: 'Title',
  description: 'Description.',
  paper: { id: 'a-paper', citation: 'Nobody (2020)', url: 'https://example.org' },
  config: z.object({}),
  presets: { quick: { summary: 'one' } },
  run: async ({ steps }) => {
    for await (const _ of steps({ total: 2 }));
    return { x: 1 };
  },
  report: { metric: 'x', rows: 'seed' },
})`;
const MODULE = `import { defineExperiment } from '@fwp/lab';\nimport { z } from 'zod';\nexport default ${DEFINITION};\n`;
const COMPILED = `Object.defineProperty(exports, '__esModule', { value: true });
const { defineExperiment } = require('@fwp/lab');
const { z } = require('zod');
exports.default = ${DEFINITION};\n`;

/** A project in which this package is installed, with some files. */
function makeProject(files: Readonly<Record<string, string>>): string {
  const project = temporaryFolder();
  mkdirSync(join(project, 'node_modules/@fwp'), { recursive: true });
  symlinkSync(PACKAGE, join(project, 'node_modules/@fwp/lab'));
  symlinkSync(join(PACKAGE, 'node_modules/zod'), join(project, 'node_modules/zod'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), content);
  }
  return project;
}

const info = (project: string, file: string) => fwp(['info', `./${file}`, '--json'], { cwd: project });

describe.skipIf(process.platform === 'win32')('an experiment', () => {
  it.each([
    ['{"type":"commonjs"}', 'one.ts'],
    ['{}', 'one.ts'],
    ['{"type":"module"}', 'one.ts'],
    ['{}', 'one.mts'],
  ])(
    'in a project with package.json %s, in %s with another file',
    async (manifest, name) => {
      const importing = MODULE.replace('import', "import { total } from './helper.ts';\nimport").replace(
        '2 }',
        'total }',
      );
      const project = makeProject({
        'package.json': manifest,
        'helper.ts': 'export const total: number = 2;\n',
        [name]: importing,
      });
      const run = ['run', `./${name}`, '--device', 'wasm', '--threads', '1', '--json', '--quiet'];
      const { status, stdout, stderr } = await fwp(run, { cwd: project });
      expect([status, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout)).toMatchObject({ id: 'mine/one', results: [{ x: 1 }] });
    },
    60_000,
  );

  it('of several in a folder with # in its name, which is resumed too', async () => {
    const two = MODULE.replace('default', 'const one =').replace(
      'import',
      'export { other } from "./other.mjs";\nimport',
    );
    const other = MODULE.replace('default', 'const other =').replace('mine/one', 'mine/other');
    const project = makeProject({ 'c#/d#e/two.mjs': two, 'c#/d#e/other.mjs': other });
    const options = ['--device', 'wasm', '--threads', '1', '--quiet', '--out', 'c#/run'];
    const { status, stderr } = await fwp(['run', './c#/d#e/two.mjs#mine/other', ...options], { cwd: project });
    expect([status, stderr]).toEqual([0, '']);
    expect(await fwp(['resume', 'c#/run', '--json'], { cwd: project })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('"mine/other"'),
    });
    expect((await info(project, 'c#/d#e/two.mjs')).stderr).toContain('two.mjs exports 2 experiments');
  }, 60_000);

  it('compiled to CommonJS, with a default export', async () => {
    const project = makeProject({ 'package.json': '{}', 'one.cjs': COMPILED });
    expect(await info(project, 'one.cjs')).toMatchObject({ status: 0, stdout: expect.stringContaining('"mine/one"') });
  }, 60_000);

  it('in a .js file that is a module where those are CommonJS: the way out is told', async () => {
    const project = makeProject({ 'package.json': '{"type":"commonjs"}', 'one.js': MODULE });
    const { status, stderr } = await info(project, 'one.js');
    expect(status).toBe(2);
    expect(stderr).toContain('rename it to .mjs, or set "type": "module" in package.json');
    expect(stderr).not.toContain('    at ');
  }, 60_000);
});
