/**
 * `npm start`: installs, builds and runs the main job, a reproduction on the embedded engine (WebAssembly, which needs
 * nothing but Node). Arguments after `--` go to `fwp run`, for example `npm start -- --device native --seed 1..3`.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkNode, install, root, turbo } from './workspace.mjs';

checkNode();
install();
const built = await turbo(['build', 'build:native', '--output-logs=errors-only', '--log-order=grouped']);
if (built !== 0) process.exit(built);
const fwp = join(root, 'packages', 'lab', 'bin', 'fwp.mjs');
const job = ['run', 'deltanet/capacity', '--preset', 'quick', '--device', 'wasm', ...process.argv.slice(2)];
const result = spawnSync(process.execPath, [fwp, ...job], { cwd: root, stdio: 'inherit' });
process.exit(result.status ?? 1);
