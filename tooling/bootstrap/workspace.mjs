/**
 * What `npm start` and `npm test` share: they need nothing but Node and npm, bring pnpm themselves and install the
 * dependencies when these have changed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from '../../packages/core/build/native.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const windows = process.platform === 'win32';
/** The pinned package manager, `pnpm@<version>`. */
export const pin = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;

/** Stops with a plain message if this Node is too old. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Node ${process.versions.node} is too old: 20.19 or newer is needed.`);
  process.exit(1);
}

/** How to call the pinned pnpm: the one on the PATH if it is exactly that version, else through npx. */
function pnpmCommand() {
  const found = spawnSync('pnpm', ['--version'], { cwd: root, encoding: 'utf8', shell: windows });
  if (found.status === 0 && `pnpm@${found.stdout.trim()}` === pin) return ['pnpm'];
  return ['npx', '--yes', pin];
}

let command;

/** Runs pnpm with the terminal attached; returns its exit status. Children find the same pnpm on their PATH. */
export function pnpm(args, env = {}) {
  command ??= pnpmCommand();
  const [program, ...first] = command;
  const result = spawnSync(program, [...first, ...args], {
    cwd: root,
    stdio: 'inherit',
    shell: windows,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', ...env },
  });
  if (result.error) console.error(`cannot run ${program}: ${result.error.message}`);
  return result.status ?? 1;
}

/** A hash of the lockfile and of every manifest of the workspace. */
function dependencyHash() {
  const hash = createHash('sha256');
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'];
  for (const group of ['packages', 'apps', 'tooling']) {
    if (!existsSync(join(root, group))) continue;
    for (const name of readdirSync(join(root, group)).sort()) {
      files.push(`${group}/${name}/package.json`);
    }
  }
  for (const file of files) {
    if (existsSync(join(root, file))) hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/** Installs the dependencies exactly as locked, unless that has been done for this lockfile and these manifests. */
export function install() {
  const stamp = join(root, 'node_modules', '.fwp-installed');
  const hash = dependencyHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  const status = pnpm(['install', '--frozen-lockfile']);
  if (status !== 0) process.exit(status);
  writeFileSync(stamp, hash);
}

/** Runs turbo tasks; returns the exit status. The C compiler's identity is part of what the cache depends on. */
export async function turbo(args) {
  const compiler = await findCompiler();
  return pnpm(['exec', 'turbo', 'run', ...args], { FWP_COMPILER: compiler.identity });
}
