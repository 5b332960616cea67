import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Engine } from '../../src/engine/engine.ts';
import type { KernelModule } from '../../src/engine/kernel-module.ts';
import { hasNativeAddon, loadNativeModule } from '../../src/engine/native-module.ts';
import { loadWasmModule } from '../../src/engine/wasm-module.ts';

const LOADERS: Record<string, () => Promise<KernelModule>> = {
  wasm: () => loadWasmModule(true),
  'wasm without threads': () => loadWasmModule(false),
  ...((await hasNativeAddon()) ? { native: () => loadNativeModule() } : {}),
};

let engine: Engine | undefined;
afterEach(() => {
  engine?.dispose();
  engine = undefined;
});

describe.each(Object.keys(LOADERS))('engine on %s', (name) => {
  const threadCounts = name === 'wasm without threads' ? [1] : [1, 2, 4];

  it.each(threadCounts)('moves every byte through a parallel loop with %i threads', async (threads) => {
    engine = await Engine.start(await LOADERS[name]!(), threads);
    const bytes = 9 * 1024 * 1024 + 13; // several chunks and a ragged end
    const source = engine.allocate(bytes);
    const target = engine.allocate(bytes);
    engine.uint8(source, bytes).forEach((_, i, view) => {
      view[i] = (i * 31 + (i >> 9)) & 255;
    });
    for (let repeat = 0; repeat < 20; repeat++) {
      engine.uint8(target, bytes).fill(0);
      expect(engine.run('copy', source, target, bytes)).toBe(0);
      expect(Buffer.compare(engine.uint8(source, bytes), engine.uint8(target, bytes))).toBe(0);
    }
  });

  it.runIf(name === 'wasm')('a chunk that fails in a worker is an error, which nobody waits for', async () => {
    const bytes = 4 * 1024 * 1024;
    for (let repeat = 0; repeat < 6; repeat++) {
      const failing = await Engine.start(await LOADERS[name]!(), 4);
      const source = failing.allocate(bytes);
      // Whoever gets the last chunk.
      expect(() => failing.run('copy', source, 2 ** 32 - bytes, bytes)).toThrow(WebAssembly.RuntimeError);
      failing.dispose();
    }
  });

  it('wakes sleeping workers', async () => {
    engine = await Engine.start(await LOADERS[name]!(), threadCounts.at(-1)!);
    const bytes = 4 * 1024 * 1024;
    const [source, target] = [engine.allocate(bytes), engine.allocate(bytes)];
    for (let repeat = 1; repeat <= 5; repeat++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      engine.uint8(source, bytes).fill(repeat);
      engine.run('copy', source, target, bytes);
      expect(engine.uint8(target, bytes)[bytes - 1]).toBe(repeat);
    }
  });

  it('keeps contents while the heap grows', async () => {
    engine = await Engine.start(await LOADERS[name]!(), 1);
    const offset = engine.allocate(1024);
    engine.uint8(offset, 1024).fill(7);
    const large = engine.allocate(100 * 1024 * 1024);
    engine.uint8(large, 100 * 1024 * 1024)[100 * 1024 * 1024 - 1] = 9;
    expect(engine.uint8(offset, 1024).every((value) => value === 7)).toBe(true);
    expect(engine.run('copy', offset, large, 1024)).toBe(0);
    expect(engine.uint8(large, 1024)[1023]).toBe(7);
  });

  it('refuses an unknown kernel, a wrong number of arguments and calls after disposal', async () => {
    engine = await Engine.start(await LOADERS[name]!(), 1);
    expect(() => engine!.run('no_such_kernel')).toThrow(/have no 'no_such_kernel'/);
    expect(() => engine!.run('copy', 1, 2)).toThrow(/'copy' takes 3 arguments, but 2 were given/);
    engine.dispose();
    expect(() => engine!.run('copy', 0, 0, 0)).toThrow(/disposed/);
    expect(() => engine!.allocate(8)).toThrow(/disposed/);
  });
});

describe('a program', () => {
  const program = (dispose: boolean) => `
    import { Engine } from ${JSON.stringify(fileURLToPath(new URL('../../src/engine/engine.ts', import.meta.url)))};
    import { loadWasmModule } from ${JSON.stringify(fileURLToPath(new URL('../../src/engine/wasm-module.ts', import.meta.url)))};
    const engine = await Engine.start(await loadWasmModule(true), 3);
    const a = engine.allocate(1 << 22), b = engine.allocate(1 << 22);
    engine.run('copy', a, b, 1 << 22);
    ${dispose ? 'engine.dispose();' : ''}
    console.log('end');
  `;

  it.each([true, false])('ends by itself (dispose called: %s)', async (dispose) => {
    const run = promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program(dispose)],
      {
        timeout: 30_000,
      },
    );
    expect((await run).stdout).toContain('end');
  });
});
