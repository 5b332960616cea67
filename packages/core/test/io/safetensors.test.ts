import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CorruptFileError, dispose, init } from '../../src/index.ts';
import { crc32 } from '../../src/io/crc32.ts';
import { decodeSafetensors, encodeSafetensors, loadSafetensors, saveSafetensors } from '../../src/io/safetensors.ts';
import { availableDevices } from '../devices.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A file written by hand from the format's description: header length, header, data. */
function file(header: string, data: Uint8Array | number[] = []): Uint8Array {
  const json = text(header);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Reads one tensor of the given dtype and returns its values. */
function readOne(dtype: string, data: Uint8Array, count: number): { dtype: string; values: number[] } {
  const header = JSON.stringify({ x: { dtype, shape: [count], data_offsets: [0, data.length] } });
  const x = decodeSafetensors(file(header, data)).tensors['x'] as tf.Tensor;
  const result = { dtype: x.dtype, values: Array.from(x.dataSync()) };
  x.dispose();
  return result;
}

function failure(bytes: Uint8Array): string {
  const before = tf.memory().numTensors;
  try {
    const { tensors } = decodeSafetensors(bytes, 'a.safetensors');
    tf.dispose(tensors);
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptFileError);
    expect(tf.memory().numTensors).toBe(before);
    return (error as Error).message;
  }
  throw new Error('expected a CorruptFileError');
}

beforeAll(async () => {
  await init({ device: 'cpu' });
});

describe('a file written from the description of the format', () => {
  const header = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}   ';

  it('is read', () => {
    const { tensors, metadata } = decodeSafetensors(file(header, [0, 0, 128, 63, 0, 0, 0, 192]));
    const w = tensors['w'] as tf.Tensor;
    expect(Object.keys(tensors)).toEqual(['w']);
    expect(w.shape).toEqual([2, 1]);
    expect(Array.from(w.dataSync())).toEqual([1, -2]);
    expect(metadata).toEqual({ format: 'pt' });
    w.dispose();
  });

  it('is what is written, but for the checksums', async () => {
    const w = tf.tensor([1, -2], [2, 1]);
    const bytes = await encodeSafetensors({ w }, { format: 'pt' });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const written = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(written.replace(/"fwp.crc32":"[0-9a-f]{8} [0-9a-f]{8}",/, '').trimEnd()).toBe(header.trimEnd());
    expect(Array.from(bytes.subarray(8 + length))).toEqual([0, 0, 128, 63, 0, 0, 0, 192]);
    w.dispose();
  });

  it('is read from a piece of a Node buffer', () => {
    const whole = file(header, [0, 0, 128, 63, 0, 0, 0, 192]);
    const shifted = Buffer.concat([Buffer.from([1, 2, 3]), whole]).subarray(3);
    const w = decodeSafetensors(shifted).tensors['w'] as tf.Tensor;
    shifted.fill(0);
    expect(Array.from(w.dataSync())).toEqual([1, -2]);
    w.dispose();
  });
});

describe('dtypes', () => {
  it('that tfjs lacks become the nearest one', () => {
    expect(readOne('F64', bytesOf(new Float64Array([0.1, -1e300])), 2)).toEqual({
      dtype: 'float32',
      values: [Math.fround(0.1), Number.NEGATIVE_INFINITY],
    });
    const halves = new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x3555]);
    expect(readOne('F16', bytesOf(halves), 7)).toEqual({
      dtype: 'float32',
      values: [1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0, 0.333251953125],
    });
    expect(readOne('F16', bytesOf(new Uint16Array([0x7e00])), 1).values).toEqual([Number.NaN]);
    expect(readOne('BF16', bytesOf(new Uint16Array([0x3f80, 0xc040])), 2).values).toEqual([1, -3]);
    expect(readOne('I64', bytesOf(new BigInt64Array([-5n, 2147483647n])), 2)).toEqual({
      dtype: 'int32',
      values: [-5, 2147483647],
    });
    expect(readOne('U8', new Uint8Array([0, 255]), 2)).toEqual({ dtype: 'int32', values: [0, 255] });
    expect(readOne('I8', bytesOf(new Int8Array([-128, 127])), 2).values).toEqual([-128, 127]);
    expect(readOne('I16', bytesOf(new Int16Array([-32768])), 1).values).toEqual([-32768]);
    expect(readOne('U16', bytesOf(new Uint16Array([65535])), 1).values).toEqual([65535]);
    expect(readOne('U32', bytesOf(new Uint32Array([7])), 1).values).toEqual([7]);
    expect(readOne('BOOL', new Uint8Array([1, 0, 1]), 3)).toEqual({ dtype: 'bool', values: [1, 0, 1] });
  });

  it('with values beyond int32 are refused with the element', () => {
    const header = (dtype: string, bytes: number): string =>
      JSON.stringify({ ids: { dtype, shape: [2], data_offsets: [0, bytes] } });
    expect(failure(file(header('I64', 16), bytesOf(new BigInt64Array([1n, 2147483648n]))))).toMatch(
      /element 1 of I64 tensor "ids" is 2147483648 and does not fit into int32/,
    );
    expect(failure(file(header('U32', 8), bytesOf(new Uint32Array([1, 4294967295]))))).toMatch(/is 4294967295 and/);
  });

  it('that cannot be written are refused', async () => {
    const names = tf.tensor1d(['a', 'b']);
    await expect(encodeSafetensors({ names })).rejects.toThrow(
      "tensor 'names' must be float32 or int32 or bool, but is string",
    );
    names.dispose();
    await expect(encodeSafetensors({ names })).rejects.toThrow('was disposed');
  });
});

describe('corrupt files', () => {
  const entry = (begin: number, end: number, shape = '[1]'): string =>
    `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;

  it.each([
    ['an empty file', new Uint8Array(0), /a.safetensors, byte 0: the file ends inside the header's length/],
    ['a cut length', new Uint8Array(5), /byte 5: .*expected 8 bytes/],
    ['a huge header length', new Uint8Array(8).fill(255), /a header of 18446744073709551615 bytes; expected at most/],
    ['a header beyond the end', file('{}').subarray(0, 9), /byte 9: the file ends inside the header of 2 bytes/],
    ['bad UTF-8', file('{}').map((x, i) => (i === 8 ? 255 : x)), /not valid UTF-8/],
    ['no JSON', file('hello'), /byte 8: expected '\{' before the first tensor name; found "hello"/],
    ['a cut header', file('{"a":{"dtype":"F32"'), /byte 27: expected .*the header ends/],
    ['text after the header', file('{} x'), /byte 11: expected nothing but spaces/],
    ['a bad string', file('{"a\\q":1}'), /byte 9: .*valid JSON string/],
    ['an unknown dtype', file('{"a":{"dtype":"F33"'), /byte 22: expected a dtype of tensor "a" that is one of BOOL/],
    ['an inherited dtype', file('{"a":{"dtype":"toString"'), /not "toString"/],
    ['an unknown field', file('{"a":{"size":1}}'), /no field "size"/],
    ['a missing field', file('{"a":{"dtype":"F32","shape":[]}}'), /byte 13: .*data_offsets of tensor "a"/],
    ['a negative size', file(`{"a":${entry(0, 4, '[-1]')}}`), /expected a whole number in the shape of tensor "a"/],
    ['a fractional size', file(`{"a":${entry(0, 4, '[1.0]')}}`), /whole number in the shape/],
    [
      'three offsets',
      file('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}}'),
      /as \[begin, end\], not \[0, 4, 8\]/,
    ],
    ['backward offsets', file(`{"a":${entry(4, 0)}}`), /as \[begin, end\], not \[4, 0\]/],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}'), /the text of metadata "a"/],
    ['duplicate names', file(`{"a":${entry(0, 4)},"a":${entry(4, 8)}}`), /each tensor name once, but "a" comes again/],
    ['duplicate names by escapes', file(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`), /"a" comes again/],
    [
      'a wrong size',
      file(`{"a":${entry(0, 8)}}`, new Uint8Array(8)),
      /"a" has 8 bytes of data; expected 4 bytes for F32/,
    ],
    ['data that end early', file(`{"a":${entry(0, 4)}}`, new Uint8Array(3)), /the file ends inside tensor "a"/],
    ['overlap', file(`{"a":${entry(0, 4)},"b":${entry(2, 6)}}`, new Uint8Array(6)), /"b" overlaps tensor "a"/],
    [
      'a hole',
      file(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, new Uint8Array(12)),
      /4 bytes before tensor "b" belong/,
    ],
    ['a rest', file(`{"a":${entry(0, 4)}}`, new Uint8Array(6)), /2 bytes at the end belong to no tensor/],
    [
      'a bool that is 2',
      file('{"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}', [1, 2]),
      /expected 0 or 1 in bool/,
    ],
  ])('%s', (_, bytes, message) => {
    expect(failure(bytes)).toMatch(message);
  });

  it('a changed byte is found by its checksum', async () => {
    const tensors = { a: tf.tensor1d([1, 2, 3]), b: tf.tensor1d([4, 5]) };
    const bytes = await encodeSafetensors(tensors, { note: 'x' });
    tf.dispose(tensors);
    const broken = bytes.slice();
    broken[bytes.length - 1] = (broken[bytes.length - 1] as number) ^ 4;
    expect(failure(broken)).toMatch(/tensor "b" \(bytes \d+ to \d+\) does not match its checksum/);
  });

  it('every flipped bit, every cut and any burst of damage gives a CorruptFileError or the same tensors', async () => {
    const original = {
      w: tf.tensor2d([1, -2, 3.5, 4], [2, 2]),
      ids: tf.tensor1d([7, -8], 'int32'),
      on: tf.tensor([true]),
    };
    const values = (tensors: tf.NamedTensorMap): unknown =>
      Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, Array.from(x.dataSync())]));
    const expected = values(original);
    const bytes = await encodeSafetensors(original, { note: 'ünï' });
    tf.dispose(original);
    const before = tf.memory().numTensors;
    const check = (damaged: Uint8Array): void => {
      try {
        const { tensors } = decodeSafetensors(damaged);
        expect(values(tensors)).toEqual(expected);
        tf.dispose(tensors);
      } catch (error) {
        if (!(error instanceof CorruptFileError)) throw error;
      }
      expect(tf.memory().numTensors).toBe(before);
    };
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      check(bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)));
    }
    for (let length = 0; length < bytes.length; length++) check(bytes.slice(0, length));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 12 }), (at, burst) => {
        const damaged = bytes.slice();
        damaged.set(burst.subarray(0, bytes.length - at), at);
        check(damaged);
      }),
      { numRuns: 1000 },
    );
  });

  it('arbitrary bytes never crash in another way', () => {
    const fragment = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '"dtype"',
      '"F32"',
      '"shape"',
      '"data_offsets"',
      '0',
      '1',
      ' ',
      '\\',
      '"a"',
      '"__metadata__"',
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 40 }), fc.uint8Array({ maxLength: 8 }), (fragments, data) => {
        try {
          tf.dispose(decodeSafetensors(file(fragments.join(''), data)).tensors);
        } catch (error) {
          if (!(error instanceof CorruptFileError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('files', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fwp-safetensors-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('appear complete under their name and leave nothing beside it', async () => {
    const path = join(folder, 'new', 'x.safetensors');
    const x = tf.tensor1d([1, 2]);
    await saveSafetensors(path, { x }, { a: 'b' });
    await saveSafetensors(path, { x: x }, { a: 'c' });
    const { tensors, metadata } = await loadSafetensors(path);
    expect(metadata).toEqual({ a: 'c' });
    expect(Array.from((tensors['x'] as tf.Tensor).dataSync())).toEqual([1, 2]);
    expect(await readdir(join(folder, 'new'))).toEqual(['x.safetensors']);
    tf.dispose([x, tensors]);
  });

  it('keep their content when writing fails', async () => {
    const path = join(folder, 'kept.safetensors');
    const x = tf.tensor1d([1, 2]);
    await saveSafetensors(path, { x });
    const before = await readFile(path);
    x.dispose();
    await expect(saveSafetensors(path, { x })).rejects.toThrow('disposed');
    expect(await readFile(path)).toEqual(before);
    // A folder cannot be replaced by a file: the rename fails after the temporary file was written.
    const y = tf.tensor1d([3]);
    await writeFile(join(folder, 'inside'), '');
    await expect(saveSafetensors(folder, { y })).rejects.toThrow();
    expect((await readdir(join(folder, '..'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    y.dispose();
  });

  it('are named by errors', async () => {
    const path = join(folder, 'bad.safetensors');
    await writeFile(path, 'not a safetensors file');
    await expect(loadSafetensors(path)).rejects.toThrow(`${path}, byte 0`);
  });
});

it('crc32 gives the published check value', () => {
  expect(crc32(text('123456789')).toString(16)).toBe('cbf43926');
  expect(crc32(text('56789'), crc32(text('1234')))).toBe(crc32(text('123456789')));
  const long = text('The quick brown fox jumps over the lazy dog');
  expect(crc32(long).toString(16)).toBe('414fa339');
});

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(async () => {
    await dispose();
  });

  it('every tensor comes back bit for bit', async () => {
    const name = fc.string({ unit: 'binary', maxLength: 8 }).filter((x) => x !== '__metadata__');
    const shape = fc.array(fc.nat(4), { maxLength: 4 });
    const dtype = fc.constantFrom('float32', 'int32', 'bool');
    const before = tf.memory().numTensors;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, shape, dtype, fc.nat()), { maxLength: 5, selector: ([x]) => x }),
        fc.dictionary(name, fc.string({ unit: 'binary' }), { maxKeys: 3 }),
        async (specs, metadata) => {
          const make = ([n, s, d, seed]: (typeof specs)[number]): [string, tf.Tensor] => {
            const size = s.reduce((a, b) => a * b, 1);
            const values = Array.from(
              { length: size },
              (_, i) => ((seed + i * 7919) % 2001) / (d === 'float32' ? 3 : 1) - 1000,
            );
            if (d === 'bool')
              return [
                n,
                tf.tensor(
                  Uint8Array.from(values, (x) => (x > 0 ? 1 : 0)),
                  s,
                  'bool',
                ),
              ];
            return [n, tf.tensor(d === 'int32' ? Int32Array.from(values) : Float32Array.from(values), s, d as 'int32')];
          };
          const tensors = Object.fromEntries(specs.map(make));
          const read = decodeSafetensors(await encodeSafetensors(tensors, metadata));
          expect(read.metadata).toEqual(metadata);
          expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(tensors).sort());
          for (const [key, x] of Object.entries(tensors)) {
            const y = read.tensors[key] as tf.Tensor;
            expect({ shape: y.shape, dtype: y.dtype }).toEqual({ shape: x.shape, dtype: x.dtype });
            expect(y.dataSync()).toEqual(x.dataSync());
          }
          tf.dispose([tensors, read.tensors]);
        },
      ),
      { numRuns: 100 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});
