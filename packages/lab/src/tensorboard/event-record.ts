/**
 * Events of TensorBoard as records of its event files. A record is the length of its data (64 bits), the checksum of the
 * length, the data, and the checksum of the data; all little-endian. The data is an `Event` message of protocol buffers:
 *
 *     Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *     Summary { repeated Value value = 1; }
 *     Value   { string tag = 1; float simple_value = 2; }
 */

import { maskedCrc32c } from './crc32c.ts';

/** Numbers at one step. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  /** By tag. */
  readonly scalars: Readonly<Record<string, number>>;
}

/** The record with which a file begins. */
export function versionRecord(wallTime: number): Uint8Array {
  return record(concat(double(1, wallTime), string(3, 'brain.Event:2')));
}

/** A record of scalars. */
export function scalarRecord({ wallTime, step, scalars }: ScalarEvent): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) => message(1, concat(string(1, tag), float(2, value))));
  return record(concat(double(1, wallTime), int64(2, step), message(5, concat(...values))));
}

function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return bytes;
}

/** How a field's value is stored. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

function key(field: number, type: keyof typeof WIRE): Uint8Array {
  return varint(field * 8 + WIRE[type]);
}

function int64(field: number, value: number): Uint8Array {
  return concat(key(field, 'varint'), varint(value));
}

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return concat(key(field, 'fixed64'), bytes);
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat(key(field, 'fixed32'), bytes);
}

function string(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}

function message(field: number, data: Uint8Array): Uint8Array {
  return concat(key(field, 'bytes'), varint(data.length), data);
}

/** Seven bits per byte, the lowest first; not negative. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = Math.trunc(value);
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
