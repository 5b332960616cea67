/**
 * Sets up device `tensorflow`, for its tests: installs, builds the `fwp` command and runs `fwp setup tensorflow`, whose
 * status is this one's. Where it's set up already, nothing is done.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkNode, install, root, turbo } from './workspace.mjs';

checkNode();
install();
const built = await turbo(['build', '--filter=@fwp/lab', '--output-logs=errors-only', '--log-order=grouped']);
if (built !== 0) process.exit(built);
const fwp = join(root, 'packages', 'lab', 'bin', 'fwp.mjs');
const result = spawnSync(process.execPath, [fwp, 'setup', 'tensorflow'], { cwd: root, stdio: 'inherit' });
process.exit(result.status ?? 1);
