/** The error classes that callers may want to tell apart. Everything else is a plain `Error` with a full sentence. */

/** A device was asked for that is not there; the message says what is missing and how to get it. */
export class DeviceUnavailableError extends Error {
  override name = 'DeviceUnavailableError';
}

/**
 * The GPU stopped working: its driver was reset or updated, the card was unplugged, or a kernel ran for too long. Everything
 * that was on it is gone.
 */
export class DeviceLostError extends Error {
  override name = 'DeviceLostError';
}

/** The heap, or a GPU, cannot hold a tensor; the message names the request, the live bytes and the limit. */
export class OutOfMemoryError extends Error {
  override name = 'OutOfMemoryError';
  /** Bytes that were asked for; undefined where a GPU does not tell. */
  readonly requestedBytes: number | undefined;
  /** Bytes in use by live allocations at that moment. */
  readonly liveBytes: number;
  /** The heap's limit in bytes; on a GPU, of one tensor, or what was allocated when there was no more. */
  readonly limitBytes: number;

  constructor(requestedBytes: number | undefined, liveBytes: number, limitBytes: number, message?: string) {
    super(
      message ??
        `Out of memory: a block of ${formatBytes(requestedBytes ?? 0)} was asked for while ${formatBytes(liveBytes)} are in use ` +
          `and the heap may not exceed ${formatBytes(limitBytes)}. Dispose tensors (tf.tidy), use smaller batches, or raise ` +
          `the limit with init({ heapLimit }).`,
    );
    this.requestedBytes = requestedBytes;
    this.liveBytes = liveBytes;
    this.limitBytes = limitBytes;
  }
}

/** Thrown with `init({ debug: true })` by the first operation that makes a NaN out of inputs without one. */
export class NotANumberError extends Error {
  override name = 'NotANumberError';
}

/** Thrown for a file that is not what it should be; the message says which file, which byte and what was expected. */
export class CorruptFileError extends Error {
  override name = 'CorruptFileError';
}

/** `1536` → `'1.5 KiB'`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || Number.isInteger(value) ? 0 : value < 10 ? 2 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
