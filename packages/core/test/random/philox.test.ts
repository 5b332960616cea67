import { describe, expect, it } from 'vitest';
import { multiplyHigh, philox } from '../../src/random/philox.ts';

describe('Philox4x32-10', () => {
  // The known answers of the Random123 library.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('maps counter %j and key %j to its known answer', (counter, key, answer) => {
    expect(philox([...counter], [...key])).toEqual(answer);
  });

  it('multiplies 32-bit integers to 64 bits', () => {
    const operands = [0, 1, 2, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xd2511f53, 0xffffffff];
    for (const a of operands) {
      for (const b of operands) expect(multiplyHigh(a, b)).toBe(Number((BigInt(a) * BigInt(b)) >> 32n));
    }
  });
});
