/** Which peers there are on this machine, how each is started, and the running ones. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type PeerCommand, PeerProcess } from './peer-process.ts';
import type { Identity } from './protocol.ts';

/** Ours. */
export const DEVICES = ['native', 'wasm', 'webgpu', 'tensorflow'] as const;
/** Whom we are compared with; the first one that computes is the reference for correctness. */
export const PEERS = ['pytorch', 'tfjs-cpu', 'tfjs-wasm', 'pytorch-cuda', 'flash-linear-attention'] as const;
/** Those that compute on a GPU; `tensorflow` may. */
export const GPU_PEERS: readonly PeerName[] = ['pytorch-cuda', 'flash-linear-attention'];
/** Those whose threads are chosen. The others have one that counts. */
const THREADED: readonly string[] = ['native', 'wasm', 'pytorch'];
/** Those that compute in fewer digits: differences from others that are theirs, as a fraction of the result's size. */
export const COARSE: Readonly<Partial<Record<PeerName, number>>> = { 'flash-linear-attention': 0.1 };

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

/** The configurations for these names and thread counts. References come first, peers that compute in fewer digits last. */
export function configurations(
  devices: readonly DeviceName[],
  peers: readonly PeerName[],
  threads: readonly number[],
): Configuration[] {
  const coarse = peers.filter((name) => COARSE[name] !== undefined);
  const exact = peers.filter((name) => !coarse.includes(name));
  return [...exact, ...devices, ...coarse].flatMap((name) =>
    (THREADED.includes(name) ? threads : [1]).map((count) => ({ name, threads: count })),
  );
}

/** Whether a peer's times are set beside a device's: with as many threads, if it has threads to choose. */
export function isComparable(peer: Configuration, device: Configuration): boolean {
  return peer.threads === device.threads || !THREADED.includes(peer.name);
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
    case 'pytorch-cuda':
      return { program: python, args: ['peers/torch_peer.py', '1', 'cuda'], directory };
    case 'flash-linear-attention':
      return { program: python, args: ['peers/fla_peer.py'], directory };
    case 'tfjs-cpu':
      return nodeCommand('tfjs', 'cpu');
    case 'tfjs-wasm':
      return nodeCommand('tfjs', 'wasm');
    default:
      return nodeCommand('fwp', name, String(threads));
  }
}

/** Ours that compute on the processor and are there, or those that compute on a GPU. */
export function defaultDevices(onGpu: boolean): DeviceName[] {
  if (onGpu) return ['webgpu'];
  return hasNativeKernels() ? ['native', 'wasm'] : ['wasm'];
}

/** Whether our native kernels were built. */
export function hasNativeKernels(): boolean {
  return existsSync(new URL('../../../../packages/core/kernels/kernels.node', import.meta.url));
}

/** What Python must be able to do for a peer, and how to get it. */
const PYTHON_PEERS: Readonly<Partial<Record<PeerName, { readonly code: string; readonly help: string }>>> = {
  pytorch: { code: 'import torch', help: 'No python3 with torch here. Install it with: pip install torch' },
  'pytorch-cuda': {
    code: 'import torch; assert torch.cuda.is_available()',
    help: 'No python3 whose torch finds a CUDA card here',
  },
  'flash-linear-attention': {
    code: 'import torch, fla; assert torch.cuda.is_available()',
    help: 'No python3 with a CUDA card and fla here. Install it with: pip install flash-linear-attention',
  },
};

/**
 * Those of the peers that are there.
 *
 * @param missing is told why each of the others is not
 * @returns their names, and the Python that they run in
 */
export function availablePeers(
  names: readonly PeerName[],
  missing: (name: PeerName, why: string) => void,
): { peers: PeerName[]; python: string } {
  const pythons = ['python3', 'python'];
  let found: string | undefined;
  const peers = names.filter((name) => {
    const needs = PYTHON_PEERS[name];
    if (needs === undefined) return true;
    const candidates = found === undefined ? pythons : [found];
    const able = candidates.find((python) => spawnSync(python, ['-c', needs.code], { stdio: 'ignore' }).status === 0);
    if (able === undefined) missing(name, needs.help);
    else found = able;
    return able !== undefined;
  });
  return { peers, python: found ?? 'python3' };
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
