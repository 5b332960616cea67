/** A peer's side of the protocol: reads requests, runs programs, times them. */

import { createInterface } from 'node:readline';
import { type Program, type ProgramTable, Unsupported } from '../programs/program.ts';
import type {
  CallProfile,
  Identity,
  Measured,
  MemorySamples,
  Prepared,
  PrepareRequest,
  Reply,
  Request,
} from './protocol.ts';

/** Calls that are shorter (ms) are timed several at a time, so that the clock's resolution does not matter. */
const SHORTEST_SAMPLE = 1;
/** The same where the device works on while the program goes ahead, so that waiting for it once does not matter. */
const SHORTEST_AWAITED_SAMPLE = 20;

/** What a peer offers. */
export interface Service {
  readonly identity: Identity;
  readonly programs: ProgramTable;
  /** The memory test, where the peer has one. */
  readonly memory?: (steps: number, every: number) => MemorySamples;
  /** Counts time by kernel while `run` runs, where the peer can. */
  readonly profile?: (run: () => void) => CallProfile['kernels'];
  /** Waits until the device has done what it was asked for; none if it has when a program returns. */
  readonly settle?: () => Promise<void>;
  /** Called at the end. */
  readonly close?: () => Promise<void>;
}

/** Answers requests until `quit` or the end of the input. */
export async function serve(service: Service): Promise<void> {
  const send = (reply: Reply): void => void process.stdout.write(`${JSON.stringify(reply)}\n`);
  const runner = new Runner(service);
  send({ id: 0, result: service.identity });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request & { id: number };
    if (request.command === 'quit') break;
    try {
      send({ id: request.id, result: (await runner.answer(request)) ?? null });
    } catch (error) {
      send({ id: request.id, ...describe(error) });
    }
  }
  runner.release();
  await service.close?.();
  // Readline keeps the input open otherwise.
  process.stdin.destroy();
}

/** A program that is set up and warm. */
interface Ready {
  readonly program: Program;
  /** Milliseconds of one call. */
  readonly call: number;
  /** Calls per sample. */
  readonly inner: number;
}

class Runner {
  readonly #service: Service;
  #ready: Ready | undefined;
  #yardstick: Ready | undefined;

  constructor(service: Service) {
    this.#service = service;
  }

  async answer(request: Request): Promise<unknown> {
    switch (request.command) {
      case 'prepare':
        return this.#prepare(request);
      case 'measure':
        return this.#measure(request.milliseconds);
      case 'memory':
        if (this.#service.memory === undefined) throw new Unsupported('no memory test');
        return this.#service.memory(request.steps, request.every);
      case 'profile':
        return this.#profile(request.calls);
      default:
        return this.release();
    }
  }

  release(): void {
    this.#ready?.program.dispose();
    this.#yardstick?.program.dispose();
    this.#ready = this.#yardstick = undefined;
  }

  async #prepare({ program: name, parameters, yardstick, warmUp }: PrepareRequest): Promise<Prepared> {
    this.release();
    const { programs, settle } = this.#service;
    const make = programs[name];
    if (make === undefined) throw new Unsupported(`no program '${name}'`);
    const program = make(parameters);
    const digest = program.check();
    this.#ready = await warm(program, warmUp, settle);
    const makeYardstick = yardstick && programs[yardstick.program];
    if (makeYardstick) this.#yardstick = await warm(makeYardstick(yardstick.parameters), warmUp, settle);
    return { digest, call: this.#ready.call };
  }

  #profile(calls: number): CallProfile {
    const { program } = this.#prepared('profile');
    if (this.#service.profile === undefined) throw new Unsupported('no profile');
    let milliseconds = 0;
    const kernels = this.#service.profile(() => {
      const begin = performance.now();
      for (let i = 0; i < calls; i++) program.run();
      milliseconds = performance.now() - begin;
    });
    const perCall = kernels.map((row) => ({
      name: row.name,
      calls: row.calls / calls,
      milliseconds: row.milliseconds / calls,
    }));
    return { milliseconds: milliseconds / calls, kernels: perCall };
  }

  async #measure(milliseconds: number): Promise<Measured> {
    const { settle } = this.#service;
    const ready = this.#prepared('measure');
    if (this.#yardstick === undefined) return { samples: await samplesOf(ready, milliseconds, settle) };
    const before = await samplesOf(this.#yardstick, milliseconds / 4, settle);
    const samples = await samplesOf(ready, milliseconds / 2, settle);
    return { samples, yardstick: [...before, ...(await samplesOf(this.#yardstick, milliseconds / 4, settle))] };
  }

  #prepared(command: string): Ready {
    if (this.#ready === undefined) throw new Error(`${command} before prepare`);
    return this.#ready;
  }
}

async function warm(program: Program, milliseconds: number, settle: Service['settle']): Promise<Ready> {
  const begin = performance.now();
  let call = Number.POSITIVE_INFINITY;
  let now = begin;
  do {
    const before = now;
    program.run();
    // Nothing is awaited where nothing has to be: that would be timed, too.
    if (settle !== undefined) await settle();
    now = performance.now();
    call = Math.min(call, now - before);
  } while (now - begin < milliseconds);
  const shortest = settle === undefined ? SHORTEST_SAMPLE : SHORTEST_AWAITED_SAMPLE;
  return { program, call, inner: Math.max(1, Math.ceil(shortest / Math.max(call, 1e-4))) };
}

async function samplesOf(
  { program, inner }: Ready,
  milliseconds: number,
  settle: Service['settle'],
): Promise<number[]> {
  const samples: number[] = [];
  const end = performance.now() + milliseconds;
  let before = performance.now();
  do {
    for (let i = 0; i < inner; i++) program.run();
    if (settle !== undefined) await settle();
    const now = performance.now();
    samples.push((now - before) / inner);
    before = now;
  } while (before < end);
  return samples;
}

/** tfjs says in these words that a backend lacks a kernel or that an operation lacks a gradient. */
const MISSING = /not registered for( the)? backend|gradient function not found|not yet supported|not supported/i;

function describe(error: unknown): { error: string; unsupported: boolean } {
  const message = error instanceof Error ? error.message : String(error);
  return { error: message, unsupported: error instanceof Unsupported || MISSING.test(message) };
}
