/**
 * CRC-32 (polynomial 0x04C11DB7, reflected; the one of zip and PNG), eight bytes at a time with eight tables.
 *
 * crc32 of the ASCII text "123456789" is cbf43926.
 */

let tables: Uint32Array[] | undefined;

/**
 * The checksum of `bytes`; pass the checksum of what came before to continue.
 *
 * @param bytes the data
 * @param previous checksum of the preceding bytes; default: none came before
 * @returns an unsigned 32-bit number
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const at = bytes as ArrayLike<number> as { [index: number]: number };
  let crc = ~previous;
  let i = 0;
  const end = bytes.length - 7;
  for (; i < end; i += 8) {
    const low = crc ^ (at[i]! | (at[i + 1]! << 8) | (at[i + 2]! << 16) | (at[i + 3]! << 24));
    crc =
      t7[low & 255]! ^
      t6[(low >>> 8) & 255]! ^
      t5[(low >>> 16) & 255]! ^
      t4[low >>> 24]! ^
      t3[at[i + 4]!]! ^
      t2[at[i + 5]!]! ^
      t1[at[i + 6]!]! ^
      t0[at[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ at[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** `tables[k][byte]`: what `byte`, followed by `k` zero bytes, adds to the checksum. */
function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const result = [first];
  for (let k = 1; k < 8; k++) {
    const before = result[k - 1] as Uint32Array;
    result.push(before.map((value) => first[value & 255]! ^ (value >>> 8)));
  }
  return result;
}
