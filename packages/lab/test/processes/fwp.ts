/**
 * The `fwp` command as a process of its own, built: what signals, kills and full disks do can't be seen otherwise.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

const PACKAGE = join(import.meta.dirname, '../..');
const COMMAND = join(PACKAGE, 'bin/fwp.mjs');

/** The experiment of most tests; see the file. */
export const TOY: string = join(PACKAGE, 'test/fixtures/toy.ts');

/** A process under way. */
export interface FwpProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<FwpResult>;
  /** What it wrote to stderr so far. */
  readonly output: () => string;
}

/** How a process ended. */
export interface FwpResult {
  /** Null if a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `fwp` with some words; it ends with the test at the latest. */
export function startFwp(
  words: readonly string[],
  options: SpawnOptions & { readonly prefix?: readonly string[] } = {},
): FwpProcess {
  if (!existsSync(join(PACKAGE, 'dist/cli.js'))) {
    throw new Error('These tests start the built command: run `pnpm --filter @fwp/lab... build` first.');
  }
  const { prefix = [], ...rest } = options;
  const [command, ...line] = [...prefix, process.execPath, COMMAND, ...words];
  const child = spawn(command as string, line, { stdio: ['ignore', 'pipe', 'pipe'], ...rest });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => (stdout += text));
  child.stderr?.on('data', (text) => (stderr += text));
  const ended = new Promise<FwpResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { child, ended, output: () => stderr };
}

/** Runs `fwp` to its end. */
export function fwp(words: readonly string[], options?: Parameters<typeof startFwp>[1]): Promise<FwpResult> {
  return startFwp(words, options).ended;
}

/** Waits until a run folder has a checkpoint: the first trial is under way. */
export function firstCheckpoint(folder: string): Promise<void> {
  const checkpoints = join(folder, 'checkpoints');
  return until(() => existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.endsWith('.safetensors')));
}

/** Waits until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(20);
}
