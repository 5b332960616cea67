import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Case } from '../src/catalog.ts';
import { difference, disagreements } from '../src/harness/agreement.ts';
import { parseMachine, parseProcess } from '../src/harness/calm.ts';
import { measureCase } from '../src/harness/measure.ts';
import { PeerProcess, parseReply } from '../src/harness/peer-process.ts';
import { configurations, keyOf } from '../src/harness/peers.ts';
import { median } from '../src/harness/statistics.ts';
import { parseOptions, UsageError } from '../src/options.ts';
import { digestOf, integers, uniform } from '../src/programs/values.ts';

/** A peer that says something else first, answers with `value`, and cannot do the program 'missing'. */
const FAKE_PEER = `
const value = Number(process.argv[2]);
let hasYardstick = false;
let fragile = false;
console.log('a banner');
console.log(JSON.stringify({ id: 0, result: { version: 'fake', threads: 1, detail: '' } }));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, command, program, yardstick } = JSON.parse(line);
  if (command === 'prepare') hasYardstick = yardstick?.program === 'yard';
  if (command === 'quit') process.exit(0);
  if (program === 'endless') { for (;;); }
  if (program === 'crash') process.exit(3);
  if (program === 'fragile' && command === 'prepare') fragile = value > 1;
  if (fragile && command === 'measure') return console.log(JSON.stringify({ id, error: 'no room' }));
  if (program === 'missing') return console.log(JSON.stringify({ id, error: 'none here', unsupported: true }));
  const results = { prepare: { digest: { values: [value], scale: 1 }, call: 1 }, measure: { samples: [3, 1, 2], ...(hasYardstick && { yardstick: [8, 8] }) } };
  console.log(JSON.stringify({ id, result: results[command] ?? null }));
});
`;

/** A peer whose device works on, which counts calls and how often it was waited for. */
const ASYNCHRONOUS_PEER = `
import { serve } from SERVE;
let calls = 0;
let waits = 0;
await serve({
  identity: { version: 'fake', threads: 1, detail: '' },
  programs: {
    count: () => ({ run: () => void calls++, check: () => ({ values: [calls, waits], scale: 1 }), dispose: () => {} }),
  },
  settle: async () => void waits++,
});
`;

const EFFORT = { rounds: 2, slice: 1, warmUp: 1, retries: 0, deadline: 30_000 };

describe('protocol', () => {
  let folder: string;
  const started: PeerProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fwp-bench-'));
    writeFileSync(join(folder, 'peer.cjs'), FAKE_PEER);
  });
  afterAll(async () => {
    await Promise.all(started.map((peer) => peer.close()));
    await rm(folder, { recursive: true });
  });

  async function start(value: number): Promise<PeerProcess> {
    const peer = await PeerProcess.start({
      program: process.execPath,
      args: ['peer.cjs', String(value)],
      directory: folder,
    });
    started.push(peer);
    return peer;
  }
  const caseOf = (program: string): Case => ({ suite: 's', name: 'n', program, parameters: {} });

  it('finds replies among other output', () => {
    expect(parseReply('{"id":3,"result":null}')).toEqual({ id: 3, result: null });
    expect(parseReply('{"id":3}')).toBeUndefined();
    expect(parseReply('{"broken')).toBeUndefined();
    expect(parseReply('hello')).toBeUndefined();
  });

  it('measures all peers that agree, and does not time one that differs', async () => {
    const peers = new Map([
      ['a/1', await start(1)],
      ['b/1', await start(1.00001)],
      ['c/1', await start(1.1)],
    ]);
    const { outcomes } = await measureCase(caseOf('anything'), peers, EFFORT);
    expect(outcomes.get('a/1')).toMatchObject({ kind: 'measured', median: 2, minimum: 1 });
    expect(outcomes.get('b/1')).toMatchObject({ kind: 'measured' });
    expect(outcomes.get('c/1')).toMatchObject({ kind: 'failed', reason: expect.stringContaining('differs from a/1') });
  });

  it('compares with a yardstick slice by slice', async () => {
    const peers = new Map([['a/1', await start(1)]]);
    const plain = await measureCase(caseOf('anything'), peers, EFFORT);
    expect(plain.outcomes.get('a/1')).not.toHaveProperty('relative');
    const { outcomes } = await measureCase(caseOf('anything'), peers, EFFORT, undefined, caseOf('yard'));
    expect(outcomes.get('a/1')).toMatchObject({ kind: 'measured', median: 2, relative: 2 / 8 });
  });

  it('tells what a peer cannot do from what it fails at', async () => {
    const peers = new Map([['a/1', await start(1)]]);
    const missing = await measureCase(caseOf('missing'), peers, EFFORT);
    expect(missing.outcomes.get('a/1')).toEqual({ kind: 'unsupported', reason: 'none here' });
    const crash = await measureCase(caseOf('crash'), peers, EFFORT);
    expect(crash.outcomes.get('a/1')).toMatchObject({ kind: 'failed', reason: expect.stringContaining('status 3') });
  });

  it('goes on without a peer that has no room for as much as is measured', async () => {
    const peers = new Map([
      ['a/1', await start(1)],
      ['b/1', await start(1.00001)],
    ]);
    const { outcomes, slices } = await measureCase(caseOf('fragile'), peers, EFFORT);
    expect(outcomes.get('a/1')).toMatchObject({ kind: 'measured' });
    // Two of the one and the first of the other.
    expect(slices).toBe(3);
    expect(outcomes.get('b/1')).toEqual({ kind: 'failed', reason: 'no room' });
  });

  it('expects fewer digits of a peer that computes in fewer', async () => {
    const peers = new Map([
      ['native/1', await start(1)],
      ['flash-linear-attention/1', await start(1.05)],
    ]);
    const { outcomes } = await measureCase(caseOf('anything'), peers, EFFORT);
    expect(outcomes.get('flash-linear-attention/1')).toMatchObject({ kind: 'measured' });
  });

  it('waits for a device that works on before it looks at the clock', async () => {
    const source = JSON.stringify(new URL('../src/harness/serve.ts', import.meta.url).href);
    const peer = await PeerProcess.start({
      program: process.execPath,
      args: ['--import', 'tsx', '--input-type=module', '--eval', ASYNCHRONOUS_PEER.replace('SERVE', source)],
      directory: fileURLToPath(new URL('..', import.meta.url)),
    });
    started.push(peer);
    const request = { program: 'count', parameters: {}, warmUp: 0 };
    const { digest: before } = await peer.prepare(request, 30_000);
    const { samples } = await peer.measure(0);
    const { digest: after } = await peer.prepare(request, 30_000);
    // One settled call of warming up, then one settled sample of many calls.
    expect(before.values).toEqual([0, 0]);
    expect(samples).toHaveLength(1);
    expect(after.values[1]).toBe(2);
    expect(after.values[0]).toBeGreaterThan(2);
  });

  it('ends a peer that exceeds its deadline', async () => {
    const peer = await start(1);
    const { outcomes } = await measureCase(caseOf('endless'), new Map([['a/1', peer]]), { ...EFFORT, deadline: 100 });
    expect(outcomes.get('a/1')).toMatchObject({ kind: 'unsupported', reason: expect.stringContaining('longer than') });
    expect(peer.alive).toBe(false);
  });
});

describe('agreement', () => {
  const digest = (...values: number[]) => ({ values, scale: 2 });

  it('measures differences against the size of the whole result', () => {
    expect(difference(digest(1, 2), digest(1, 2.02))).toBeCloseTo(0.01);
  });

  it('never accepts NaN or another length', () => {
    expect(difference(digest(1), digest(Number.NaN))).toBe(Number.POSITIVE_INFINITY);
    expect(difference(digest(1), digest(1, 1))).toBe(Number.POSITIVE_INFINITY);
    expect(difference({ values: [], scale: 1 }, { values: [], scale: Number.NaN })).toBe(Number.POSITIVE_INFINITY);
  });

  it('names whoever differs from the first peer', () => {
    const digests = new Map(Object.entries({ a: digest(1), b: digest(1.00001), c: digest(2) }));
    expect(disagreements(digests, () => 1e-3)).toEqual([{ peer: 'c', reference: 'a', difference: 0.5 }]);
  });
});

describe('shared numbers', () => {
  it('are what the twin in Python makes', () => {
    // uniform([3], 1) and integers([4], 3, 100) of torch_peer.py.
    expect([...uniform(3, 1, 1)]).toEqual([-0.7578458189964294, 0.5311488509178162, 0.5451986193656921]);
    expect([...integers(4, 3, 100)]).toEqual([48, 62, 50, 69]);
  });

  it('are uniform', () => {
    const values = uniform(10_000, 5, 2);
    expect(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length)).toBeLessThan(0.05);
    expect(digestOf(values).scale).toBeCloseTo(2 / Math.sqrt(3), 1);
  });
});
describe('load', () => {
  it('reads the machine and a process whose name holds blanks and brackets', () => {
    expect(parseMachine('cpu  10 1 5 100 4 1 2 3 0 0\ncpu0 1 1\n')).toEqual({ busy: 22, all: 126 });
    expect(parseProcess('42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14')).toBe(23);
  });
});

describe('configurations', () => {
  it('give tfjs one thread and list peers before devices', () => {
    const keys = configurations(['wasm'], ['pytorch', 'tfjs-cpu'], [1, 2]).map(keyOf);
    expect(keys).toEqual(['pytorch/1', 'pytorch/2', 'tfjs-cpu/1', 'wasm/1', 'wasm/2']);
  });
});

describe('options', () => {
  it('choose everything by default', () => {
    expect(parseOptions([])).toMatchObject({ devices: undefined, threads: [1, 2], quick: false });
    expect(parseOptions([]).suites).not.toContain('gpu');
    expect(parseOptions(['--suite', 'gpu'])).toMatchObject({ suites: ['gpu'], peers: undefined });
  });

  it.each([
    [['--suite', 'gem'], "Did you mean 'gemm'?"],
    [['--device', 'nativ'], "Did you mean 'native'?"],
    [['--threads', '0'], 'not a whole number'],
    [['--cases', '['], "'^delta rule'"],
    [['--fast'], "'pnpm bench --help'"],
  ])('refuse %j and say what is possible', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('median', () => {
  it('is the middle of the sorted values', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
  });
});
