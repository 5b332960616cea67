/**
 * `pnpm bench` (or `npm run bench --`): installs, builds and runs the benchmarks. Arguments go to the benchmarks;
 * `--help` lists them. With `--gpu` first, those of device `webgpu` run (`tooling/bench/src/gpu/main.ts`).
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
const [first, ...others] = process.argv.slice(2);
const onGpu = first === '--gpu';
const program = onGpu ? 'src/gpu/main.ts' : 'src/main.ts';
const args = ['--import', 'tsx', program, ...(onGpu ? others : process.argv.slice(2))];
const result = spawnSync(process.execPath, args, { cwd: join(root, 'tooling', 'bench'), stdio: 'inherit' });
process.exit(result.status ?? 1);
