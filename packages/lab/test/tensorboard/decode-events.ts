/** A reader of event files for the tests: written from the format's definition, and sharing nothing with the writer. */

/** A decoded message: values by field number; nested messages stay bytes. */
type Fields = Map<number, (bigint | number | Uint8Array)[]>;

/** An event. */
export interface DecodedEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion: string | undefined;
  readonly scalars: Record<string, number>;
}

/** Reads a whole file; throws where a length or checksum is wrong. */
export function decodeEvents(file: Uint8Array): DecodedEvent[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const events: DecodedEvent[] = [];
  for (let offset = 0; offset < file.length; ) {
    const length = Number(view.getBigUint64(offset, true));
    const data = file.subarray(offset + 12, offset + 12 + length);
    if (data.length !== length) throw new Error('cut off');
    if (view.getUint32(offset + 8, true) !== mask(bitwiseCrc(file.subarray(offset, offset + 8))))
      throw new Error('length');
    if (view.getUint32(offset + 12 + length, true) !== mask(bitwiseCrc(data))) throw new Error('data');
    events.push(decodeEvent(data));
    offset += length + 16;
  }
  return events;
}

function decodeEvent(data: Uint8Array): DecodedEvent {
  const event = decodeMessage(data);
  const text = new TextDecoder();
  const scalars: Record<string, number> = {};
  for (const summary of event.get(5) ?? []) {
    for (const value of decodeMessage(summary as Uint8Array).get(1) ?? []) {
      const fields = decodeMessage(value as Uint8Array);
      scalars[text.decode(fields.get(1)?.[0] as Uint8Array)] = fields.get(2)?.[0] as number;
    }
  }
  const version = event.get(3)?.[0] as Uint8Array | undefined;
  return {
    wallTime: event.get(1)?.[0] as number,
    step: Number(event.get(2)?.[0] ?? 0n),
    fileVersion: version === undefined ? undefined : text.decode(version),
    scalars,
  };
}

function decodeMessage(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Fields = new Map();
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(offset++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (offset < bytes.length) {
    const key = Number(varint());
    const values = fields.get(key >> 3) ?? [];
    fields.set(key >> 3, values);
    switch (key & 7) {
      case 0:
        values.push(varint());
        break;
      case 1:
        values.push(view.getFloat64(offset, true));
        offset += 8;
        break;
      case 2: {
        const length = Number(varint());
        values.push(bytes.subarray(offset, offset + length));
        offset += length;
        break;
      }
      case 5:
        values.push(view.getFloat32(offset, true));
        offset += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7}`);
    }
  }
  return fields;
}

/** Division of polynomials bit by bit, without a table. */
function bitwiseCrc(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ (byte >> bit)) & 1;
      crc = (crc >>> 1) ^ (carry ? 0x82f63b78 : 0);
    }
  }
  return ~crc >>> 0;
}

function mask(crc: number): number {
  const value = BigInt(crc);
  return Number(BigInt.asUintN(32, ((value >> 15n) | BigInt.asUintN(32, value << 17n)) + 0xa282ead8n));
}
