/**
 * `npm start`: installs, builds and runs the demonstration. Arguments after `--` go to the demonstration.
 */
import { checkNode, install, pnpm, turbo } from './workspace.mjs';

checkNode();
install();
const built = await turbo(['build', 'build:native', '--output-logs=errors-only', '--log-order=grouped']);
if (built !== 0) process.exit(built);
process.exit(pnpm(['--silent', '--filter', '@fwp/demo', 'run', 'start', ...process.argv.slice(2)]));
