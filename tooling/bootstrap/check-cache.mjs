/** Checks that a second `turbo run build` does nothing: everything comes from the cache. */
import { spawnSync } from 'node:child_process';
import { writeResults } from '../results/index.js';
import { pin, root } from './workspace.mjs';

const build = () =>
  spawnSync('npx', ['--yes', pin, 'exec', 'turbo', 'run', 'build'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });

const first = build();
const second = build();
const cached = first.status === 0 && second.status === 0 && /FULL TURBO/.test(second.stdout);
if (!cached) console.error(second.stdout, second.stderr);
console.log(cached ? 'second build: fully cached' : 'second build: NOT fully cached');
writeResults(import.meta.dirname, 'cache', {
  passed: cached ? 1 : 0,
  failed: cached ? 0 : 1,
  skipped: 0,
});
process.exit(cached ? 0 : 1);
