/**
 * `pnpm bench` (or `npm run bench --`): installs, builds and runs the benchmarks. Arguments go to the benchmarks;
 * `--help` lists them.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkNode, install, root, turbo } from './workspace.mjs';

checkNode();
install();
const built = await turbo([
  'build',
  'build:native',
  '--output-logs=errors-only',
  '--log-order=grouped',
  '--filter=@fwp/bench^...',
]);
if (built !== 0) process.exit(built);
const args = ['--import', 'tsx', 'src/main.ts', ...process.argv.slice(2)];
const result = spawnSync(process.execPath, args, { cwd: join(root, 'tooling', 'bench'), stdio: 'inherit' });
process.exit(result.status ?? 1);
