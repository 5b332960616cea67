/** Pictures of files, PNG or JPEG, as bytes of red, green and blue. */

import { decode as decodePng } from 'fast-png';
import { decode as decodeJpeg } from 'jpeg-js';
import { CorruptDataError } from './checksum.ts';

/** A picture as bytes `[height, width, 3]`. */
export interface DecodedImage {
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

const PNG = [0x89, 0x50, 0x4e, 0x47];
const JPEG = [0xff, 0xd8, 0xff];
/** Most pixels of a JPEG, in millions: against files that lie about their size. */
const MOST_MEGAPIXELS = 256;

/**
 * Decodes a PNG or JPEG file. Grey pictures get three equal channels; transparent parts show white.
 *
 * @param name what messages call it, for example its path
 * @throws CorruptDataError if it is neither, or damaged
 */
export function decodeImage(name: string, bytes: Uint8Array): DecodedImage {
  const begins = (signature: readonly number[]) => signature.every((byte, i) => bytes[i] === byte);
  try {
    if (begins(PNG)) return fromPng(bytes);
    if (begins(JPEG)) return fromJpeg(bytes);
  } catch (error) {
    throw new CorruptDataError(name, `${name} can't be decoded: ${(error as Error).message}`, { cause: error });
  }
  throw new CorruptDataError(
    name,
    `${name} is neither a PNG nor a JPEG file: it begins with ${[...bytes.subarray(0, 4)].join(' ')}.`,
  );
}

function fromJpeg(bytes: Uint8Array): DecodedImage {
  const options = { useTArray: true, formatAsRGBA: false, tolerantDecoding: false } as const;
  const { width, height, data } = decodeJpeg(bytes, { ...options, maxResolutionInMP: MOST_MEGAPIXELS });
  return { width, height, pixels: data };
}

function fromPng(bytes: Uint8Array): DecodedImage {
  const { width, height, depth, channels, data, palette } = decodePng(bytes, { checkCrc: true });
  const pixels = new Uint8Array(width * height * 3);
  const perByte = Math.max(1, 8 / depth);
  const most = 2 ** depth - 1;
  // Samples of fewer than 8 bits are packed into bytes, the first in the highest bits; each row begins a byte.
  const stride = Math.ceil((width * channels) / perByte);
  const sample = (row: number, place: number): number => {
    const packed = data[row * stride + Math.floor(place / perByte)] as number;
    return perByte === 1 ? packed : (packed >> (depth * (perByte - 1 - (place % perByte)))) & most;
  };
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const begin = column * channels;
      const to = (row * width + column) * 3;
      if (palette !== undefined) {
        const [red, green, blue, alpha = 255] = (palette[sample(row, begin)] ?? [0, 0, 0]) as number[];
        [red, green, blue].forEach((value, c) => {
          pixels[to + c] = onWhite(value as number, alpha / 255);
        });
        continue;
      }
      const isGrey = channels < 3;
      const alpha = channels % 2 === 0 ? sample(row, begin + channels - 1) / most : 1;
      for (let c = 0; c < 3; c++) {
        pixels[to + c] = onWhite((255 * sample(row, begin + (isGrey ? 0 : c))) / most, alpha);
      }
    }
  }
  return { width, height, pixels };
}

function onWhite(value: number, alpha: number): number {
  return Math.round(alpha * value + (1 - alpha) * 255);
}
