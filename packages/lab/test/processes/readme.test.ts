/** The README's experiment, as somebody's first file in a project of their own. */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../temporary-folder.ts';
import { fwp } from './fwp.ts';

const PACKAGE = join(import.meta.dirname, '../..');

it('the experiment of the README runs in a project of its own, and its claim holds', async () => {
  const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
  const [, code = ''] = /```ts\n(\/\/ my-experiment\.ts\n.*?)```/s.exec(readme) ?? [];
  const project = temporaryFolder();
  writeFileSync(join(project, 'my-experiment.ts'), code);
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  install(project, '@fwp/lab', PACKAGE);
  for (const name of ['@fwp/core', '@tensorflow/tfjs-core', 'zod']) {
    install(project, name, join(PACKAGE, 'node_modules', name));
  }
  const { status, stdout, stderr } = await fwp(['run', './my-experiment.ts', '--device', 'wasm', '--json'], {
    cwd: project,
  });
  expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('[4/4]') });
  const { id, results, claims } = JSON.parse(stdout);
  expect(id).toBe('mine/scales');
  expect(results).toHaveLength(4);
  expect(claims).toMatchObject([{ pass: true }]);
}, 60_000);

function install(project: string, name: string, target: string): void {
  const link = join(project, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link);
}
