/** The pool of buffers of device webgpu, with buffers that are no more than their size. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutOfMemoryError } from '../../src/index.ts';
import { BufferPool } from '../../src/webgpu/buffer-pool.ts';

const STORAGE = 0x80;
const UNIFORM = 0x40;
const MIB = 2 ** 20;

/** A pool, and the bytes of what was made for it and is not destroyed; all of them may have `room`. */
function poolOf(
  largest = 2 ** 31,
  room = Number.POSITIVE_INFINITY,
): { pool: BufferPool; made: () => number; live: () => number } {
  const live = new Set<GPUBuffer>();
  let made = 0;
  const bytes = () => [...live].reduce((sum, { size }) => sum + size, 0);
  const create = ({ size, usage }: GPUBufferDescriptor) => {
    if (bytes() + size > room) return new OutOfMemoryError(size, bytes(), room);
    const buffer = { size, usage, destroy: () => live.delete(buffer) } as unknown as GPUBuffer;
    live.add(buffer);
    made++;
    return buffer;
  };
  return { pool: new BufferPool(create, largest), made: () => made, live: bytes };
}

describe('the pool of buffers', () => {
  it('gives a buffer again to who asks for its size and usage, and to nobody else', () => {
    const { pool, made } = poolOf();
    const buffer = pool.acquireBuffer(64, STORAGE);
    pool.releaseBuffer(buffer);
    expect(pool.acquireBuffer(64, UNIFORM)).not.toBe(buffer);
    expect(pool.acquireBuffer(60, STORAGE)).not.toBe(buffer);
    expect(pool.acquireBuffer(64, STORAGE, true, false)).not.toBe(buffer);
    expect(pool.acquireBuffer(64, STORAGE)).toBe(buffer);
    expect(made()).toBe(4);
    expect([pool.numBytesUsed, pool.numBytesAllocated]).toEqual([252, 252]);
  });

  it('has all buffers of a step again in the next one', () => {
    const { pool, made } = poolOf();
    const step = () => {
      const sizes = [300, 200, 100].map((size) => size * MIB);
      const forward = sizes.map((size) => pool.acquireBuffer(size, STORAGE));
      for (const buffer of forward) pool.releaseBuffer(buffer);
      for (const size of sizes) pool.releaseBuffer(pool.acquireBuffer(size - 1, STORAGE));
    };
    step();
    const first = made();
    step();
    expect([first, made()]).toEqual([6, 6]);
  });

  it('has no more than twice what was in use at once, whatever sizes come', () => {
    const { pool, live } = poolOf();
    for (let size = 40 * MIB; size < 140 * MIB; size += MIB) {
      pool.releaseBuffer(pool.acquireBuffer(size, STORAGE));
      expect(pool.numBytesUsed).toBe(0);
      expect(live()).toBe(pool.numBytesAllocated);
      expect(live()).toBeLessThanOrEqual(2 * size);
    }
  });

  it('counts what is used and what is kept, in any order of requests', () => {
    const request = fc.record({ size: fc.integer({ min: 1, max: 5 }), isRelease: fc.boolean(), which: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
        const { pool, live } = poolOf();
        const used: GPUBuffer[] = [];
        for (const { size, isRelease, which } of requests) {
          if (isRelease && used.length > 0) pool.releaseBuffer(used.splice(which % used.length, 1)[0]!);
          else used.push(pool.acquireBuffer(20 * MIB * size, STORAGE));
          expect(new Set(used).size).toBe(used.length);
          expect(pool.numBytesUsed).toBe(used.reduce((sum, buffer) => sum + buffer.size, 0));
          expect(live()).toBe(pool.numBytesAllocated);
        }
        pool.dispose();
        expect([live(), pool.numBytesAllocated]).toEqual([0, 0]);
      }),
    );
  });

  it('starts afresh after the GPU was full: neither kept buffers nor those in use come again', () => {
    const { pool, live } = poolOf();
    const [kept, used] = [pool.acquireBuffer(8, STORAGE), pool.acquireBuffer(8, STORAGE)];
    pool.releaseBuffer(kept);
    pool.startAfresh();
    expect(live()).toBe(8);
    pool.releaseBuffer(used);
    expect(live()).toBe(0);
    const next = pool.acquireBuffer(8, STORAGE);
    pool.releaseBuffer(next);
    expect(pool.acquireBuffer(8, STORAGE)).toBe(next);
  });

  it('gives up what is kept where there is no room, and throws where that is not enough', () => {
    const { pool, live } = poolOf(2 ** 31, 100);
    const used = pool.acquireBuffer(40, STORAGE);
    pool.releaseBuffer(pool.acquireBuffer(50, STORAGE));
    expect(pool.acquireBuffer(60, STORAGE).size).toBe(60);
    expect(() => pool.acquireBuffer(1, STORAGE)).toThrow(OutOfMemoryError);
    expect([live(), pool.numBytesAllocated]).toEqual([100, 100]);
    pool.releaseBuffer(used);
    expect(pool.acquireBuffer(30, STORAGE).size).toBe(30);
  });

  it('refuses a buffer that is larger than a GPU may have', () => {
    const { pool, made } = poolOf(100);
    expect(() => pool.acquireBuffer(101, STORAGE)).toThrow(OutOfMemoryError);
    expect(made()).toBe(0);
    expect(pool.acquireBuffer(100, STORAGE).size).toBe(100);
  });

  it('leaves alone what is not its own', () => {
    const { pool } = poolOf();
    const buffer = pool.acquireBuffer(8, STORAGE);
    pool.dispose();
    pool.releaseBuffer(buffer);
    expect(pool.acquireBuffer(8, STORAGE)).not.toBe(buffer);
  });
});
