/**
 * Downloads that survive interruptions: what has arrived is kept as `<path>.part` and gone on with (HTTP Range), in this
 * process or the next; errors that may pass are tried again; only a file with the right checksum gets its name.
 */

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CorruptDataError, type FileIdentity, verifyFile } from './checksum.ts';
import { namePart, partOf, writePart } from './partial-file.ts';

/** How far a download is. */
export interface DownloadProgress {
  /** Address of the file. */
  readonly url: string;
  /** Bytes that are here, those of earlier attempts included. */
  readonly receivedBytes: number;
  /** Bytes of the whole file, if the server or the corpus says so. */
  readonly totalBytes: number | undefined;
}

/** How a download goes about it. */
export interface DownloadOptions {
  /** Called at the beginning and whenever a piece has arrived. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download; what has arrived is kept. */
  readonly signal?: AbortSignal;
  /** Attempts after one that failed without any progress. Default 3. */
  readonly retries?: number;
  /** Milliseconds before the first retry; doubled each time. Default 500. */
  readonly retryDelay?: number;
  /** Milliseconds without data after which an attempt counts as failed. Default 60 000. */
  readonly stallTimeout?: number;
}

/** The other side or the way to it failed; another attempt may succeed. */
class TransferError extends Error {}

/**
 * Downloads a file unless it is already there.
 *
 * @param url where from
 * @param path where to; folders are made
 * @param identity what the file must be
 * @throws CorruptDataError if what the server gave is not that file (kept as `<path>.part.corrupt`)
 * @throws Error if the server refuses, or the retries are used up
 */
export async function download(
  url: string,
  path: string,
  identity: FileIdentity,
  { retries = 3, retryDelay = 500, ...options }: DownloadOptions = {},
): Promise<void> {
  const part = partOf(path);
  await mkdir(dirname(path), { recursive: true });
  let failures = 0;
  let mayStartAgain = true;
  // Another process may finish the file between two attempts.
  while (!(await verifyFile(path, identity))) {
    const before = await sizeOf(part);
    try {
      await receive(url, path, before, identity, options);
      await verifyFile(part, identity);
      return await namePart(path);
    } catch (error) {
      if (error instanceof CorruptDataError && before > 0 && mayStartAgain) {
        // The beginning may have been another file's. It is out of the way now.
        mayStartAgain = false;
        continue;
      }
      if (!(error instanceof TransferError)) throw error;
      failures = (await sizeOf(part)) > before ? 0 : failures + 1;
      if (failures > retries) throw error;
      await sleep(retryDelay * 2 ** Math.max(0, failures - 1), undefined, options.signal && { signal: options.signal });
    }
  }
}

/** Writes to `<path>.part` what follows `offset` of the file, or all of it if the server won't send a part. */
async function receive(
  url: string,
  path: string,
  offset: number,
  identity: FileIdentity,
  { onProgress, signal, stallTimeout = 60_000 }: DownloadOptions,
): Promise<void> {
  if (identity.bytes !== undefined && offset >= identity.bytes) return;
  const stall = new AbortController();
  const ends = signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]);
  const giveUp = () => stall.abort(new TransferError(`${url} sent nothing for ${stallTimeout / 1000} s`));
  let timer = setTimeout(giveUp, stallTimeout);
  try {
    const response = await request(url, offset, ends);
    if (response === undefined) return;
    const begin = response.status === 206 ? offset : 0;
    const announced = response.headers.get('content-length');
    const totalBytes = identity.bytes ?? (announced === null ? undefined : begin + Number(announced));
    const file = await writePart(path, begin);
    let isComplete = false;
    try {
      onProgress?.({ url, receivedBytes: begin, totalBytes });
      for await (const chunk of chunksOf(response, url, ends)) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, stallTimeout);
        await file.write(chunk);
        onProgress?.({ url, receivedBytes: file.position, totalBytes });
      }
      if (totalBytes !== undefined && file.position < totalBytes) {
        throw new TransferError(`${url} ended after ${file.position} of ${totalBytes} bytes`);
      }
      isComplete = true;
    } finally {
      await file.close(isComplete);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The server's answer to a request for what follows `offset`; nothing if there is nothing more. */
async function request(url: string, offset: number, signal: AbortSignal): Promise<Response | undefined> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'fwp-datasets' };
  if (offset > 0) headers['range'] = `bytes=${offset}-`;
  const response = await fetch(url, { headers, signal }).catch((error: unknown) => {
    throw transferError(error, url, signal);
  });
  if (response.status === 200 || response.status === 206) return response;
  await response.body?.cancel();
  // Range not satisfiable: the part is as long as the file.
  if (response.status === 416) return undefined;
  const message = `${url} answered ${response.status} ${response.statusText}`.trimEnd();
  if (response.status >= 500 || response.status === 408 || response.status === 429) throw new TransferError(message);
  throw new Error(message);
}

async function* chunksOf(response: Response, url: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw transferError(error, url, signal);
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** What `fetch` throws, with its cause in the message; the reason of an abort as it is. */
function transferError(error: unknown, url: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return new TransferError(`${url} can't be read: ${cause?.code ?? cause?.message ?? String(error)}`, { cause: error });
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
