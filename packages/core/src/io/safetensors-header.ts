/**
 * The header of a safetensors file: written, read, and checked down to the last byte.
 *
 *     bytes 0-7          length H of the header, little-endian, 64 bits
 *     bytes 8 … 8+H-1    JSON { "<name>": { "dtype", "shape", "data_offsets": [begin, end] }, … }, padded with spaces
 *     bytes 8+H …        the tensors' data, row-major, little-endian; offsets count from here
 *
 * `__metadata__` is reserved for an object of strings. The data have no holes and no overlaps. Source: the format's
 * description in the safetensors project's README.
 *
 * The JSON is read by a scanner for exactly this schema, because `JSON.parse` keeps silent about duplicate names and
 * does not say where things are.
 */

import { CorruptFileError } from '../errors.ts';

/** Bytes per element of every dtype that can be read. */
export const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

/** Name of the metadata in the header. */
export const METADATA_NAME = '__metadata__';

/** The reference implementation refuses longer headers, too. */
const LONGEST_HEADER = 100_000_000;
const LENGTH_BYTES = 8;

/** One tensor of a file. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: number[];
  /** First byte in the file. */
  readonly begin: number;
  /** One past the last byte in the file. */
  readonly end: number;
}

/** A header that was found correct. */
export interface Header {
  /** The tensors in the order of their data. */
  readonly entries: HeaderEntry[];
  readonly metadata: Record<string, string>;
  /** Position in the file of the first character of each metadata value (after the quotation mark). */
  readonly metadataPositions: ReadonlyMap<string, number>;
  /** Where the data begin. */
  readonly dataBegin: number;
}

/** The error for byte `offset` of `source`. */
export function corrupt(source: string, offset: number, what: string): CorruptFileError {
  return new CorruptFileError(`${source}, byte ${offset}: ${what}`);
}

/**
 * The bytes of a header, its length field included; data can follow at a multiple of eight bytes.
 *
 * @param entries tensors with offsets that count from the begin of the data
 * @param metadata names and texts; they come first and in this order
 */
export function encodeHeader(
  entries: readonly HeaderEntry[],
  metadata: readonly (readonly [string, string])[],
): Uint8Array {
  const texts = metadata.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const fields = [`"${METADATA_NAME}":{${texts.join(',')}}`];
  for (const { name, dtype, shape, begin, end } of entries) {
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > LONGEST_HEADER) {
    throw new RangeError(
      `The header would take ${length} bytes; safetensors allows ${LONGEST_HEADER}. Shorten the metadata.`,
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/**
 * Reads and checks the header of a whole file.
 *
 * @param bytes the file
 * @param source how messages call the file
 * @throws CorruptFileError for everything that the format forbids
 */
export function decodeHeader(bytes: Uint8Array, source: string): Header {
  if (bytes.length < LENGTH_BYTES) {
    throw corrupt(source, bytes.length, `the file ends inside the header's length (expected ${LENGTH_BYTES} bytes)`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const available = bytes.length - LENGTH_BYTES;
  if (length > LONGEST_HEADER) {
    throw corrupt(
      source,
      0,
      `a header of ${length} bytes; expected at most ${LONGEST_HEADER}. Is this a safetensors file?`,
    );
  }
  if (length > available) {
    throw corrupt(source, bytes.length, `the file ends inside the header of ${length} bytes (${available} are there)`);
  }
  const headerEnd = LENGTH_BYTES + Number(length);
  // A copy, because the decoder takes no shared memory.
  const raw = bytes.slice(LENGTH_BYTES, headerEnd);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    throw corrupt(source, LENGTH_BYTES, 'the header is not valid UTF-8');
  }
  const scan = new HeaderScanner(text, source);
  const { entries, metadata, metadataPositions } = scan.header(headerEnd);
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, headerEnd, bytes.length, source);
  return { entries, metadata, metadataPositions, dataBegin: headerEnd };
}

/** Makes sure that the data are covered without overlap or hole and that each tensor has the size of its shape. */
function checkCoverage(entries: readonly HeaderEntry[], dataBegin: number, fileBytes: number, source: string): void {
  let covered = dataBegin;
  let before = '';
  for (const { name, dtype, shape, begin, end } of entries) {
    const tensor = `tensor ${JSON.stringify(name)}`;
    const wanted = shape.reduce((product, extent) => product * extent, DTYPE_BYTES[dtype] as number);
    if (end - begin !== wanted) {
      const expected = `expected ${wanted} bytes for ${dtype} of shape [${shape.join(', ')}]`;
      throw corrupt(source, begin, `${tensor} has ${end - begin} bytes of data; ${expected}`);
    }
    if (end > fileBytes) {
      throw corrupt(source, fileBytes, `the file ends inside ${tensor}, whose data take bytes ${begin} to ${end}`);
    }
    if (begin < covered) throw corrupt(source, begin, `${tensor} overlaps tensor ${JSON.stringify(before)}`);
    if (begin > covered)
      throw corrupt(source, covered, `${begin - covered} bytes before ${tensor} belong to no tensor`);
    covered = end;
    before = name;
  }
  if (covered < fileBytes)
    throw corrupt(source, covered, `${fileBytes - covered} bytes at the end belong to no tensor`);
}

/** Reads the header's JSON from left to right. */
class HeaderScanner {
  readonly #text: string;
  readonly #source: string;
  #at = 0;

  constructor(text: string, source: string) {
    this.#text = text;
    this.#source = source;
  }

  header(dataBegin: number): Omit<Header, 'dataBegin'> {
    const entries: HeaderEntry[] = [];
    const metadata = new Map<string, string>();
    const metadataPositions = new Map<string, number>();
    this.#fields('tensor name', (name) => {
      if (name !== METADATA_NAME) {
        entries.push(this.#entry(name, dataBegin));
        return;
      }
      this.#fields('metadata name', (key) => {
        this.#space();
        metadataPositions.set(key, this.#byte(this.#at + 1));
        metadata.set(key, this.#string(`the text of metadata ${JSON.stringify(key)}`));
      });
    });
    this.#space();
    if (this.#at < this.#text.length) throw this.#error('nothing but spaces after the header');
    return { entries, metadata: Object.fromEntries(metadata), metadataPositions };
  }

  #entry(name: string, dataBegin: number): HeaderEntry {
    const tensor = `of tensor ${JSON.stringify(name)}`;
    const start = this.#at;
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#fields(`field ${tensor}`, (field) => {
      switch (field) {
        case 'dtype': {
          this.#space();
          const at = this.#at;
          dtype = this.#string(`the dtype ${tensor}`);
          if (!Object.hasOwn(DTYPE_BYTES, dtype)) {
            const known = Object.keys(DTYPE_BYTES).join(', ');
            throw this.#error(`a dtype ${tensor} that is one of ${known}, not ${JSON.stringify(dtype)},`, at);
          }
          break;
        }
        case 'shape':
          shape = this.#integers(`the shape ${tensor}`);
          break;
        case 'data_offsets': {
          const at = this.#at;
          offsets = this.#integers(`the data_offsets ${tensor}`);
          if (offsets.length !== 2 || (offsets[0] as number) > (offsets[1] as number)) {
            throw this.#error(`data_offsets ${tensor} as [begin, end], not [${offsets.join(', ')}],`, at);
          }
          break;
        }
        default:
          throw this.#error(`dtype, shape and data_offsets ${tensor} and no field ${JSON.stringify(field)}`);
      }
    });
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      throw this.#error(`dtype, shape and data_offsets ${tensor}`, start);
    }
    const [begin, end] = offsets as [number, number];
    return { name, dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
  }

  /** `{ "name": …, … }`; `read` reads what follows the colon. */
  #fields(what: string, read: (name: string) => void): void {
    const seen = new Set<string>();
    this.#expect('{', `'{' before the first ${what}`);
    if (this.#accept('}')) return;
    do {
      this.#space();
      const at = this.#at;
      const name = this.#string(`a ${what} in quotation marks`);
      if (seen.has(name)) throw this.#error(`each ${what} once, but ${JSON.stringify(name)} comes again`, at);
      seen.add(name);
      this.#expect(':', `':' after ${what} ${JSON.stringify(name)}`);
      read(name);
    } while (this.#accept(','));
    this.#expect('}', `',' or '}' after a ${what} and its value`);
  }

  /** `[1, 2, …]` */
  #integers(what: string): number[] {
    const values: number[] = [];
    this.#expect('[', `'[' before ${what}`);
    if (this.#accept(']')) return values;
    do {
      this.#space();
      const digits = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y;
      digits.lastIndex = this.#at;
      const found = digits.exec(this.#text)?.[0];
      const value = Number(found);
      if (found === undefined || !Number.isSafeInteger(value)) throw this.#error(`a whole number in ${what}`);
      values.push(value);
      this.#at += found.length;
    } while (this.#accept(','));
    this.#expect(']', `',' or ']' in ${what}`);
    return values;
  }

  #string(what: string): string {
    this.#space();
    const text = this.#text;
    const start = this.#at;
    if (text[start] !== '"') throw this.#error(what);
    let end = start + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) throw this.#error(`${what} to end with a quotation mark`);
    this.#at = end + 1;
    try {
      return JSON.parse(text.slice(start, end + 1)) as string;
    } catch {
      throw this.#error(`${what} to be a valid JSON string`, start);
    }
  }

  #expect(character: string, what: string): void {
    if (!this.#accept(character)) throw this.#error(what);
  }

  #accept(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? '.')) this.#at++;
  }

  /** Position in the file of a character. */
  #byte(at: number): number {
    return LENGTH_BYTES + new TextEncoder().encode(this.#text.slice(0, at)).length;
  }

  #error(expected: string, at: number = this.#at): CorruptFileError {
    const found = at < this.#text.length ? `found ${JSON.stringify(this.#text.slice(at, at + 20))}` : 'the header ends';
    return corrupt(this.#source, this.#byte(at), `expected ${expected}; ${found}`);
  }
}
