/**
 * `check:pkg` of a publishable package, run in its folder: packs it as for the registry and lets publint and
 * are-the-types-wrong look at the pack, not at the folder.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'fwp-pack-'));
const run = (command, ...args) => {
  const shell = process.platform === 'win32';
  const result = spawnSync(command, args, { encoding: 'utf8', shell });
  if (result.status === 0) return;
  console.error(`${command} ${args.join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}`);
  process.exitCode = 1;
};

try {
  run('pnpm', 'pack', '--pack-destination', folder);
  const pack = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (pack) {
    run('publint', 'run', join(folder, pack), '--strict');
    run('attw', join(folder, pack), '--profile', 'esm-only');
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
