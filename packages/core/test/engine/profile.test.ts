import { engine as tfEngine } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../src/backend/backend.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { dispose, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

describe.each(await availableDevices())('engine profile on $name', ({ options }) => {
  let engine: Engine;

  beforeAll(async () => {
    await init(options);
    engine = (tfEngine().backend as FwpBackend).engine;
  });
  afterAll(dispose);

  /** Calls `peak_fma` once with `operations` floating-point operations. */
  function multiplyAdd(operations: number): void {
    const offset = engine.allocate(64);
    engine.float32(offset, 2).set([0.5, 1]);
    engine.run('peak_fma', offset, 1, operations);
    engine.free(offset, 64);
  }

  it('is empty until it is started', () => {
    multiplyAdd(1000);
    expect(engine.profile().size).toBe(0);
  });

  it('counts calls by kernel from its start to its end', () => {
    engine.startProfile();
    for (let i = 0; i < 3; i++) multiplyAdd(1e6);
    const row = engine.profile().get('peak_fma');
    expect(row?.calls).toBe(3);
    expect(row?.milliseconds).toBeGreaterThan(0);
    expect(engine.stopProfile().get('peak_fma')?.calls).toBe(3);
    multiplyAdd(1000);
    expect(engine.profile().size).toBe(0);
  });

  it('begins again at zero', () => {
    engine.startProfile();
    multiplyAdd(1000);
    engine.startProfile();
    expect(engine.stopProfile().size).toBe(0);
  });
});

describe.each(await availableDevices())('peak kernels on $name', ({ options }) => {
  let engine: Engine;

  beforeAll(async () => {
    await init(options);
    engine = (tfEngine().backend as FwpBackend).engine;
  });
  afterAll(dispose);

  it('peak_fma iterates x → x·factor + term to its fixed point in every chunk', () => {
    const offset = engine.allocate(64);
    engine.float32(offset, 2).set([0.5, 1]);
    engine.run('peak_fma', offset, 2, 1e6);
    const [, , first, second] = engine.float32(offset, 4);
    // 12 chains of whole vectors, each at the fixed point 2.
    expect((first as number) / 24).toBeOneOf([4, 8, 16]);
    expect(second).toBe(first);
    engine.free(offset, 64);
  });

  it('peak_copy copies every element, for counts that are no multiple of a vector too', () => {
    const count = 200_003;
    const source = engine.allocate(4 * count);
    const target = engine.allocate(4 * count);
    engine.float32(source, count).set(Float32Array.from({ length: count }, (_, i) => i));
    engine.run('peak_copy', source, target, count);
    expect(engine.float32(target, count)).toEqual(engine.float32(source, count));
    engine.free(source, 4 * count);
    engine.free(target, 4 * count);
  });
});
