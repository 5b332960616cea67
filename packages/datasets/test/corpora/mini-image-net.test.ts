import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MissingDataError, openMiniImageNet } from '../../src/corpora/index.ts';
import { isByteArray, readPickle } from '../../src/corpora/pickle.ts';
import { fewShot } from '../../src/index.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();
const BYTES = 84 * 84 * 3;

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const int32 = (value: number) => [value, value >> 8, value >> 16, value >> 24].map((byte) => byte & 255);
const shortString = (text: string) => [...ascii('U'), text.length, ...ascii(text)];

/** What Python 2 writes for {'image_data': array, 'class_dict': {name: [numbers]}}. */
function pickled(
  pictures: Uint8Array,
  classes: Record<string, number[]>,
  type = 'u1',
  picture = [84, 84, 3],
): Uint8Array {
  const size = picture.reduce((a, b) => a * b, 1);
  const shape = [Math.floor(pictures.length / size), ...picture].flatMap((extent) => [...ascii('J'), ...int32(extent)]);
  const head = [
    ...[0x80, 2, ...ascii('}('), ...shortString('image_data')],
    ...ascii('cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85'),
    ...[...shortString('b'), 0x87, ...ascii('R('), ...ascii('K\x01('), ...shape, ...ascii('t')],
    ...[...ascii('cnumpy\ndtype\n'), ...shortString(type), ...ascii('K\0K\x01\x87R(K\x03'), ...shortString('|')],
    ...ascii('NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T'),
    ...int32(pictures.length),
  ];
  const names = Object.entries(classes).flatMap(([name, numbers]) => [
    ...[...shortString(name), ...ascii('](')],
    ...[...numbers.flatMap((n) => [...ascii('J'), ...int32(n)]), ...ascii('e')],
  ]);
  const tail = [...ascii('tb'), ...shortString('class_dict'), ...ascii('}('), ...names, ...ascii('uu.')];
  return Uint8Array.from([...head, ...pictures, ...tail]);
}

/** Pictures that have their number everywhere, but 255 in the first pixel's red. */
function numbered(count: number): Uint8Array {
  const pictures = new Uint8Array(count * BYTES);
  for (let n = 0; n < count; n++) {
    pictures.fill(n, n * BYTES, (n + 1) * BYTES);
    pictures[n * BYTES] = 255;
  }
  return pictures;
}

/** A data folder whose three files are the same. */
function dataFolderWith(file: Uint8Array): string {
  const dataDir = mkdtempSync(join(folder, 'data-'));
  mkdirSync(join(dataDir, 'mini-imagenet'));
  for (const split of ['train', 'val', 'test']) {
    writeFileSync(join(dataDir, 'mini-imagenet', `mini-imagenet-cache-${split}.pkl`), file);
  }
  return dataDir;
}

describe('openMiniImageNet', () => {
  const file = pickled(numbered(6), { n02: [0, 2, 4], n01: [1, 3, 5] });

  test('has classes in the order of their names, with the pictures that the file gives them', async () => {
    const { train, test: evaluation } = await openMiniImageNet({ dataDir: dataFolderWith(file) });
    expect([train.classCount, train.exampleCount, train.shape]).toEqual([2, 3, [84, 84, 3]]);
    const into = new Float32Array(BYTES);
    for (const [classIndex, example, number] of [
      [0, 0, 1],
      [0, 2, 5],
      [1, 1, 2],
    ] as const) {
      evaluation.read(classIndex, example, into);
      expect(into[0]).toBe(1);
      expect(new Set(into.subarray(1))).toEqual(new Set([Math.fround(number / 255)]));
    }
  });

  test('averages where fewer pixels are wanted', async () => {
    const dataDir = dataFolderWith(file);
    const { train } = await openMiniImageNet({ dataDir, size: 32 });
    const into = new Float32Array(32 * 32 * 3);
    train.read(0, 0, into);
    // A pixel covers 2.625 × 2.625 of the picture's, the first of which has 255 in red.
    expect(into[0]).toBeCloseTo((1 + 254 / 2.625 ** 2) / 255, 5);
    expect(into[1]).toBeCloseTo(1 / 255, 6);
    const task = fewShot({ classes: await openMiniImageNet({ dataDir, size: 16 }), ways: 2, shots: 2 });
    expect(task.batch(0, 3).examples).toHaveLength(3 * 5 * 16 * 16 * 3);
  });

  test('says what to fetch, and what is wrong with a file', async () => {
    const dataDir = mkdtempSync(join(folder, 'none-'));
    await expect(openMiniImageNet({ dataDir })).rejects.toThrow(MissingDataError);
    await expect(openMiniImageNet({ dataDir })).rejects.toThrow(/mini-imagenet-cache-val\.pkl/);
    await expect(openMiniImageNet({ dataDir, size: 85 })).rejects.toThrow(RangeError);
    const broken: [Uint8Array, RegExp][] = [
      [file.subarray(0, 90_000), /mini-imagenet-cache-train\.pkl is not .* at byte \d+: the file ends too early/],
      [new TextEncoder().encode('PK'), /at byte 1: this is no pickle of plain data/],
      [pickled(numbered(2), { n01: [0], n02: [2] }), /pictures of class n02 are no list of numbers below 2/],
      [pickled(numbered(3), { n01: [0], n02: [1, 2] }), /classes have 1 and 2 pictures/],
      [pickled(numbered(2), { n01: [0] }, 'f4'), /elements of type f4 instead of u1/],
      [pickled(numbered(1), { n01: [0] }, 'u1', [84, 252, 1]), /no array \[pictures, 84, 84, 3\] of bytes/],
    ];
    for (const [bytes, message] of broken) {
      await expect(openMiniImageNet({ dataDir: dataFolderWith(bytes) })).rejects.toThrow(message);
    }
  });
});

describe('readPickle', () => {
  // Written by Python 3: {'image_data': arange(24) as u1 [2, 2, 2, 3], 'class_dict': {'n02': [0], 'n01': [1]}}.
  test.each([
    [
      2,
      'gAJ9cQAoWAoAAABpbWFnZV9kYXRhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEY19jb2RlY3MKZW5jb2RlCnEFWAEAAABicQZYBgAAAGxhdGluMXEHhnEIUnEJh3EKUnELKEsBKEsCSwJLAksDdHEMY251bXB5CmR0eXBlCnENWAIAAAB1MXEOiYiHcQ9ScRAoSwNYAQAAAHxxEU5OTkr/////Sv////9LAHRxEmKJaAVYGAAAAAABAgMEBQYHCAkKCwwNDg8QERITFBUWF3ETaAeGcRRScRV0cRZiWAoAAABjbGFzc19kaWN0cRd9cRgoWAMAAABuMDJxGV1xGksAYVgDAAAAbjAxcRtdcRxLAWF1dS4=',
    ],
    [
      3,
      'gAN9cQAoWAoAAABpbWFnZV9kYXRhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEQwFicQWHcQZScQcoSwEoSwJLAksCSwN0cQhjbnVtcHkKZHR5cGUKcQlYAgAAAHUxcQqJiIdxC1JxDChLA1gBAAAAfHENTk5OSv////9K/////0sAdHEOYolDGAABAgMEBQYHCAkKCwwNDg8QERITFBUWF3EPdHEQYlgKAAAAY2xhc3NfZGljdHERfXESKFgDAAAAbjAycRNdcRRLAGFYAwAAAG4wMXEVXXEWSwFhdXUu',
    ],
    [
      4,
      'gASV4AAAAAAAAAB9lCiMCmltYWdlX2RhdGGUjBZudW1weS5fY29yZS5tdWx0aWFycmF5lIwMX3JlY29uc3RydWN0lJOUjAVudW1weZSMB25kYXJyYXmUk5RLAIWUQwFilIeUUpQoSwEoSwJLAksCSwN0lGgFjAVkdHlwZZSTlIwCdTGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYolDGAABAgMEBQYHCAkKCwwNDg8QERITFBUWF5R0lGKMCmNsYXNzX2RpY3SUfZQojANuMDKUXZRLAGGMA24wMZRdlEsBYXV1Lg==',
    ],
  ])('reads what Python writes with protocol %i', (_protocol, base64) => {
    const content = readPickle(Buffer.from(base64, 'base64')) as Map<string, unknown>;
    const pictures = content.get('image_data');
    if (!isByteArray(pictures)) throw new Error('no array');
    expect(pictures.shape).toEqual([2, 2, 2, 3]);
    expect([...pictures.values]).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(content.get('class_dict')).toEqual(
      new Map([
        ['n02', [0]],
        ['n01', [1]],
      ]),
    );
  });

  test('calls nothing, and any other bytes give an error or plain data', () => {
    expect(() => readPickle(Uint8Array.from(ascii('cos\nsystem\nU\x04true\x85R.')))).toThrow(/asks to call os\.system/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          readPickle(bytes);
        } catch (error) {
          expect((error as Error).message).toMatch(/^at byte \d+: /);
        }
      }),
    );
  });
});
