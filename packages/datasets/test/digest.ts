/** Fingerprints of typed arrays: two equal ones mean equal bytes. */

import { createHash } from 'node:crypto';

/** First 16 hexadecimal digits of the SHA-256 of the arrays' bytes, one array after the other. */
export function digest(...arrays: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex').slice(0, 16);
}

/** The typed arrays among an object's fields, in the order of their names. */
export function digestOf(batch: object): string {
  const fields = Object.entries(batch).sort(([a], [b]) => (a < b ? -1 : 1));
  return digest(...fields.map(([, value]) => value as unknown).filter((value) => ArrayBuffer.isView(value)));
}
