/** Which peers there are on this machine, how each is started, and the running ones. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type PeerCommand, PeerProcess } from './peer-process.ts';
import type { Identity } from './protocol.ts';

/** Ours. */
export const DEVICES = ['native', 'wasm'] as const;
/** Whom we are compared with; the first one that computes is the reference for correctness. */
export const PEERS = ['pytorch', 'tfjs-cpu', 'tfjs-wasm'] as const;

export type DeviceName = (typeof DEVICES)[number];
export type PeerName = (typeof PEERS)[number];

/** One process to measure: `native/2` is our native engine on two threads. */
export interface Configuration {
  readonly name: DeviceName | PeerName;
  readonly threads: number;
}

/** `name/threads`. */
export function keyOf({ name, threads }: Configuration): string {
  return `${name}/${threads}`;
}

/** The configurations for these names and thread counts; tfjs has one thread only, in Node. References come first. */
export function configurations(
  devices: readonly DeviceName[],
  peers: readonly PeerName[],
  threads: readonly number[],
): Configuration[] {
  const all: Configuration[] = [];
  for (const name of [...peers, ...devices]) {
    for (const count of name.startsWith('tfjs') ? [1] : threads) all.push({ name, threads: count });
  }
  return all;
}

const directory = fileURLToPath(new URL('../..', import.meta.url));

function nodeCommand(peer: string, ...args: string[]): PeerCommand {
  // With -C @fwp/source the benchmark runs the sources instead of the build, and so do its peers.
  const conditions = process.execArgv.includes('@fwp/source') ? ['-C', '@fwp/source'] : [];
  return {
    program: process.execPath,
    args: [...conditions, '--import', 'tsx', `src/peers/${peer}.ts`, ...args],
    directory,
  };
}

/** How a configuration is started. */
export function commandFor({ name, threads }: Configuration, python: string): PeerCommand {
  switch (name) {
    case 'pytorch':
      return { program: python, args: ['peers/torch_peer.py', String(threads)], directory };
    case 'tfjs-cpu':
      return nodeCommand('tfjs', 'cpu');
    case 'tfjs-wasm':
      return nodeCommand('tfjs', 'wasm');
    default:
      return nodeCommand('fwp', name, String(threads));
  }
}

/** Whether our native kernels were built. */
export function hasNativeKernels(): boolean {
  return existsSync(new URL('../../../../packages/core/kernels/kernels.node', import.meta.url));
}

/** A Python that has torch, or undefined. */
export function findPython(): string | undefined {
  return ['python3', 'python'].find(
    (program) => spawnSync(program, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0,
  );
}

/** A peer does not start. */
export class StartError extends Error {
  override readonly name = 'StartError';

  constructor(key: string, output: string) {
    // Of a stack trace, the line that says what happened.
    const [line = output] = output
      .split('\n')
      .filter((text) => /Error: /.test(text))
      .slice(-1);
    super(`${key} does not start: ${line.trim()}`);
  }
}

/** The running peers. One that had to be ended is started again when it is next needed. */
export class PeerPool {
  readonly #commands: ReadonlyMap<string, PeerCommand>;
  readonly #running = new Map<string, PeerProcess>();
  /** Who the peers are. */
  readonly identities: Map<string, Identity> = new Map();

  /** @param commands by key, in the order in which they are trusted */
  constructor(commands: ReadonlyMap<string, PeerCommand>) {
    this.#commands = commands;
  }

  /**
   * All peers, those that are not running started first.
   *
   * @throws Error naming the peer that does not start
   */
  async running(): Promise<ReadonlyMap<string, PeerProcess>> {
    for (const [key, command] of this.#commands) {
      if (this.#running.get(key)?.alive) continue;
      try {
        const peer = await PeerProcess.start(command);
        this.#running.set(key, peer);
        this.identities.set(key, peer.identity);
      } catch (error) {
        throw new StartError(key, (error as Error).message);
      }
    }
    return new Map([...this.#commands.keys()].map((key) => [key, this.#running.get(key) as PeerProcess]));
  }

  /** Ends all. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((peer) => peer.close()));
  }
}
