/**
 * Tensors by name in one file that PyTorch, JAX and NumPy programs read and write as well: safetensors.
 *
 * float32, int32 and bool tensors are written as F32, I32 and BOOL. Other dtypes are read as the nearest one that
 * tfjs has: F64, F16 and BF16 as float32; I64, U64, U32, I16, U16, I8 and U8 as int32, if every value fits.
 *
 * What this module writes also carries checksums (metadata `fwp.crc32`: CRC-32 of the header, then of each tensor in
 * file order), so that a changed byte is found when the file is read. Other programs ignore them, and files without
 * them are read without that check.
 */

import {
  type DataType,
  tensor as makeTensor,
  type NamedTensorMap,
  type Tensor,
  type TypedArray,
} from '@tensorflow/tfjs-core';
import { assertTensor } from '../shape-checks.ts';
import { crc32 } from './crc32.ts';
import { readFile, writeFileAtomically } from './files.ts';
import {
  corrupt,
  decodeHeader,
  encodeHeader,
  type Header,
  type HeaderEntry,
  METADATA_NAME,
} from './safetensors-header.ts';

/** What a safetensors file holds. */
export interface SafetensorsContent {
  /** Tensors by name; the caller disposes them. */
  readonly tensors: NamedTensorMap;
  /** Texts by name. */
  readonly metadata: Record<string, string>;
}

const CHECKSUMS = 'fwp.crc32';
const CHECKSUM_DIGITS = 8;
/** The checksums open the header, which follows its length of eight bytes. */
const FIRST_CHECKSUM_POSITION = 8 + `{"${METADATA_NAME}":{"${CHECKSUMS}":"`.length;

/** What is written for each dtype of tfjs. */
const WRITTEN_DTYPES: Partial<Record<DataType, string>> = { float32: 'F32', int32: 'I32', bool: 'BOOL' };

/**
 * Tensors as the bytes of a safetensors file.
 *
 * @param tensors float32, int32 and bool tensors by name
 * @param metadata texts by name, for example hyper-parameters
 * @throws TypeError for other dtypes and disposed tensors
 */
export async function encodeSafetensors(
  tensors: Readonly<NamedTensorMap>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const parts = await encodeParts(tensors, metadata);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/**
 * Tensors from the bytes of a safetensors file.
 *
 * @param bytes the whole file
 * @param source how messages call it, for example its path
 * @throws CorruptFileError if anything is wrong with it; nothing stays allocated then
 */
export function decodeSafetensors(bytes: Uint8Array, source = 'safetensors data'): SafetensorsContent {
  return decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), source);
}

/**
 * Writes tensors to a safetensors file. The file appears complete or not at all: a temporary file beside it is
 * written, flushed to the disk and renamed. Needs Node.js; in browsers use {@link encodeSafetensors}.
 *
 * @param path the file; missing folders are made
 * @param tensors float32, int32 and bool tensors by name
 * @param metadata texts by name
 */
export async function saveSafetensors(
  path: string,
  tensors: Readonly<NamedTensorMap>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomically(path, await encodeParts(tensors, metadata));
}

/**
 * Reads a safetensors file. Needs Node.js; in browsers fetch the bytes and use {@link decodeSafetensors}.
 *
 * @throws CorruptFileError if anything is wrong with the file; nothing stays allocated then
 */
export async function loadSafetensors(path: string): Promise<SafetensorsContent> {
  return decodeSafetensors(await readFile(path), path);
}

/** Decodes a plain Uint8Array; Node's Buffer would not copy in `slice`. */
function decode(bytes: Uint8Array, source: string): SafetensorsContent {
  const header = decodeHeader(bytes, source);
  checkChecksums(bytes, header, source);
  // Convert everything before the first tensor is made: nearly all that can fail fails here.
  const values = header.entries.map((entry) => readValues(bytes, entry, source));
  const tensors: [string, Tensor][] = [];
  try {
    header.entries.forEach(({ name, shape }, i) => {
      const { dtype, data } = values[i] as Values;
      tensors.push([name, makeTensor(data, shape, dtype)]);
    });
  } catch (error) {
    for (const [, tensor] of tensors) tensor.dispose();
    throw error;
  }
  const metadata = { ...header.metadata };
  delete metadata[CHECKSUMS];
  return { tensors: Object.fromEntries(tensors), metadata };
}

/** The header and the data of each tensor, in file order. */
async function encodeParts(
  tensors: Readonly<NamedTensorMap>,
  metadata: Readonly<Record<string, string>>,
): Promise<Uint8Array[]> {
  if (Object.hasOwn(metadata, CHECKSUMS))
    throw new RangeError(`Metadata '${CHECKSUMS}' is reserved for the checksums.`);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw new TypeError(`Metadata '${key}' must be a string, but is a ${typeof value}.`);
  }
  const named = Object.entries(tensors);
  for (const [name, tensor] of named) {
    assertTensor(`tensor '${name}'`, tensor, 'float32', 'int32', 'bool');
    if (name === METADATA_NAME) throw new RangeError(`No tensor may be called '${METADATA_NAME}'.`);
  }
  // Elements of four bytes first, so that all data lie at a multiple of their size.
  named.sort(([, a], [, b]) => Number(a.dtype === 'bool') - Number(b.dtype === 'bool'));
  // All reads start now, before anyone can change a tensor.
  const data = await Promise.all(
    named.map(async ([, tensor]) => {
      const values = await tensor.data();
      // Whoever makes a tensor may call any number true.
      return asBytes(tensor.dtype === 'bool' ? values.map((value) => Number(value !== 0)) : values);
    }),
  );
  let end = 0;
  const entries = named.map(([name, { dtype, shape }], i): HeaderEntry => {
    const begin = end;
    end += (data[i] as Uint8Array).length;
    return { name, dtype: WRITTEN_DTYPES[dtype] as string, shape, begin, end };
  });
  const checksums = [0, ...data.map((bytes) => crc32(bytes))].map(hexadecimal).join(' ');
  const header = encodeHeader(entries, [[CHECKSUMS, checksums], ...Object.entries(metadata)]);
  header.set(new TextEncoder().encode(hexadecimal(crc32(header))), FIRST_CHECKSUM_POSITION);
  return [header, ...data];
}

/** Compares the checksums, where the file has some, with what is there. */
function checkChecksums(bytes: Uint8Array, header: Header, source: string): void {
  const stored = header.metadata[CHECKSUMS];
  const position = header.metadataPositions.get(CHECKSUMS);
  if (stored === undefined || position === undefined) return;
  const checksums = stored.split(' ');
  if (checksums.length !== 1 + header.entries.length || !checksums.every((text) => /^[0-9a-f]{8}$/.test(text))) {
    const expected = `${1 + header.entries.length} checksums of ${CHECKSUM_DIGITS} hexadecimal digits`;
    throw corrupt(source, position, `expected ${expected} in metadata '${CHECKSUMS}'`);
  }
  const rewritten = `The file changed after it was written. If another program rewrote it, drop metadata '${CHECKSUMS}'.`;
  const head = bytes.slice(0, header.dataBegin);
  head.fill('0'.charCodeAt(0), position, position + CHECKSUM_DIGITS);
  if (hexadecimal(crc32(head)) !== checksums[0]) {
    throw corrupt(source, 0, `the header does not match its checksum ${checksums[0]}. ${rewritten}`);
  }
  header.entries.forEach(({ name, begin, end }, i) => {
    if (hexadecimal(crc32(bytes.subarray(begin, end))) === checksums[i + 1]) return;
    const tensor = `tensor ${JSON.stringify(name)} (bytes ${begin} to ${end})`;
    throw corrupt(source, begin, `${tensor} does not match its checksum ${checksums[i + 1]}. ${rewritten}`);
  });
}

interface Values {
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly data: TypedArray;
}

/** The elements of a tensor in a copy that tfjs can have. */
function readValues(bytes: Uint8Array, entry: HeaderEntry, source: string): Values {
  const { dtype, begin, end } = entry;
  const buffer = bytes.slice(begin, end).buffer;
  switch (dtype) {
    case 'F32':
      return { dtype: 'float32', data: new Float32Array(buffer) };
    case 'F64':
      return { dtype: 'float32', data: new Float32Array(new Float64Array(buffer)) };
    case 'F16':
      return { dtype: 'float32', data: new Float32Array(new Uint16Array(buffer)).map(float16Value) };
    case 'BF16':
      return {
        dtype: 'float32',
        data: new Float32Array(new Uint32Array(new Uint16Array(buffer)).map((x) => x << 16).buffer),
      };
    case 'I32':
      return { dtype: 'int32', data: new Int32Array(buffer) };
    case 'BOOL': {
      const data = new Uint8Array(buffer);
      const bad = data.findIndex((value) => value > 1);
      if (bad < 0) return { dtype: 'bool', data };
      throw corrupt(
        source,
        begin + bad,
        `expected 0 or 1 in bool tensor ${JSON.stringify(entry.name)}, found ${data[bad]}`,
      );
    }
    default:
      return { dtype: 'int32', data: integerValues(buffer, entry, source) };
  }
}

function integerValues(buffer: ArrayBuffer, { name, dtype, begin }: HeaderEntry, source: string): Int32Array {
  switch (dtype) {
    case 'U8':
      return new Int32Array(new Uint8Array(buffer));
    case 'I8':
      return new Int32Array(new Int8Array(buffer));
    case 'U16':
      return new Int32Array(new Uint16Array(buffer));
    case 'I16':
      return new Int32Array(new Int16Array(buffer));
  }
  // 64-bit integers beyond 2^53 lose digits here, but they do not fit anyway.
  const wide =
    dtype === 'U32'
      ? new Uint32Array(buffer)
      : Float64Array.from(dtype === 'U64' ? new BigUint64Array(buffer) : new BigInt64Array(buffer), Number);
  const bad = wide.findIndex((value: number) => value !== (value | 0));
  if (bad < 0) return Int32Array.from(wide);
  const offset = begin + bad * (dtype === 'U32' ? 4 : 8);
  const value = `element ${bad} of ${dtype} tensor ${JSON.stringify(name)} is ${wide[bad]}`;
  throw corrupt(source, offset, `${value} and does not fit into int32, the only integers that tfjs has`);
}

/** The number that 16 bits mean as IEEE 754 half precision. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function asBytes(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(CHECKSUM_DIGITS, '0');
}
