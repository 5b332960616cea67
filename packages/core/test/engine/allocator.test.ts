import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALIGNMENT, blockBytes, HeapAllocator } from '../../src/engine/allocator.ts';
import { OutOfMemoryError } from '../../src/errors.ts';

const LIMIT = 1 << 20;

/** An allocator over an imaginary memory that grows whenever it is asked to. */
function growing(limit = LIMIT): HeapAllocator {
  return new HeapAllocator(100, 4096, limit, (bytes) => bytes);
}

describe('blockBytes', () => {
  it('is aligned, large enough and at most an eighth larger than the request', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (bytes) => {
        const size = blockBytes(bytes);
        expect(size % ALIGNMENT).toBe(0);
        expect(size).toBeGreaterThanOrEqual(bytes);
        expect(size).toBeLessThanOrEqual(Math.max(bytes + ALIGNMENT, bytes * 1.125));
        expect(blockBytes(size)).toBe(size);
      }),
    );
  });
});

describe('HeapAllocator', () => {
  it('never hands out overlapping or misaligned blocks, whatever the order of requests and returns', () => {
    const step = fc.record({ bytes: fc.integer({ min: 0, max: 60_000 }), free: fc.nat(), keep: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const allocator = growing();
        const live: { offset: number; bytes: number }[] = [];
        for (const { bytes, free, keep } of steps) {
          if (!keep && live.length > 0) {
            const [block] = live.splice(free % live.length, 1);
            allocator.free(block!.offset, block!.bytes);
            continue;
          }
          let offset: number;
          try {
            offset = allocator.allocate(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            continue;
          }
          expect(offset % ALIGNMENT).toBe(0);
          const end = offset + blockBytes(bytes);
          expect(end).toBeLessThanOrEqual(LIMIT);
          for (const other of live) {
            expect(end <= other.offset || offset >= other.offset + blockBytes(other.bytes)).toBe(true);
          }
          live.push({ offset, bytes });
        }
        const expected = live.reduce((sum, block) => sum + blockBytes(block.bytes), 0);
        expect(allocator.statistics().liveBytes).toBe(expected);
        expect(allocator.statistics().liveBlocks).toBe(live.length);
      }),
    );
  });

  it('takes a freed block back for the next request of its size', () => {
    const allocator = growing();
    const first = allocator.allocate(5000);
    allocator.allocate(64);
    allocator.free(first, 5000);
    expect(allocator.allocate(5000)).toBe(first);
  });

  it('joins freed neighbours when a larger block is wanted and the limit is near', () => {
    const allocator = growing(64 * 1024);
    const blocks = Array.from({ length: 60 }, () => allocator.allocate(1024));
    for (const block of blocks) allocator.free(block, 1024);
    expect(allocator.allocate(50 * 1024)).toBeLessThan(16 * 1024);
  });

  it('serves changing sizes from a bounded heap', () => {
    const allocator = growing();
    for (let i = 0; i < 5000; i++) {
      const bytes = 1000 + ((i * 7919) % 40_000);
      const offset = allocator.allocate(bytes);
      allocator.free(offset, bytes);
    }
    expect(allocator.statistics()).toMatchObject({ liveBytes: 0, liveBlocks: 0 });
  });

  it('names the request, the live bytes and the limit when the heap is full', () => {
    const allocator = growing(64 * 1024);
    allocator.allocate(32 * 1024);
    expect(() => allocator.allocate(48 * 1024)).toThrow(
      /48 KiB was asked for while 32 KiB are in use .* exceed 64 KiB/,
    );
    expect(allocator.statistics().liveBytes).toBe(32 * 1024);
  });

  it('reports a system that refuses to give more memory as out of memory', () => {
    const stingy = new HeapAllocator(0, 4096, LIMIT, () => 4096);
    stingy.allocate(2048);
    expect(() => stingy.allocate(4096)).toThrow(OutOfMemoryError);
  });
});
