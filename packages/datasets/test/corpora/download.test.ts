import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CorruptDataError } from '../../src/corpora/checksum.ts';
import { type DownloadProgress, download } from '../../src/corpora/download.ts';
import { createRandom } from '../../src/random.ts';
import { digest } from '../digest.ts';
import {
  answer,
  type FileServer,
  hangUp,
  identityOf,
  sendWhole,
  serve,
  stallAfter,
  temporaryFolder,
} from './folder.ts';

const folder = temporaryFolder();
const random = createRandom(1, 'download');
const body = Uint8Array.from({ length: 300_000 }, () => random.integer(256));
const identity = identityOf(body);
const fast = { retryDelay: 1 };
let files = 0;
/** A path in a folder that doesn't exist yet. */
const newPath = () => join(folder, `new-${files++}`, 'file.bin');
/** The fingerprint of a file, to be compared with the one that it should have. */
const read = (path: string) => digest(readFileSync(path));
const whole = digest(body);
/** What an earlier process left. */
const leavePart = (path: string, bytes: Uint8Array) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, bytes);
};
/** Breaks the server's connections, once each, when so many bytes have arrived. */
const breakAt = (server: FileServer, ...places: number[]) => {
  const left = new Set(places);
  return ({ receivedBytes }: DownloadProgress) => {
    if (left.delete(receivedBytes)) server.breakConnections();
  };
};

describe('download', () => {
  test('fetches a file once and reports its progress', async () => {
    const server = await serve(body);
    const path = newPath();
    const progress: DownloadProgress[] = [];
    await download(server.url, path, identity, { onProgress: (state) => progress.push(state) });
    expect(read(path)).toBe(whole);
    expect(existsSync(`${path}.part`)).toBe(false);
    expect(progress[0]).toEqual({ url: server.url, receivedBytes: 0, totalBytes: body.length });
    expect(progress.at(-1)).toEqual({ url: server.url, receivedBytes: body.length, totalBytes: body.length });
    await download(server.url, path, identity);
    expect(server.ranges).toHaveLength(1);
  });

  test('goes on where a broken connection ended', async () => {
    const server = await serve(body);
    const path = newPath();
    server.next.push(stallAfter(100_000), stallAfter(50_000));
    const onProgress = breakAt(server, 100_000, 150_000);
    await download(server.url, path, identity, { ...fast, onProgress });
    expect(read(path)).toBe(whole);
    expect(server.ranges).toEqual([undefined, 'bytes=100000-', 'bytes=150000-']);
  });

  test('goes on with what an earlier process left', async () => {
    const server = await serve(body);
    const path = newPath();
    leavePart(path, body.subarray(0, 123_456));
    await download(server.url, path, identity, fast);
    expect([read(path), server.ranges]).toEqual([whole, ['bytes=123456-']]);
  });

  test('a part that is complete is not fetched again', async () => {
    const server = await serve(body);
    const path = newPath();
    leavePart(path, body);
    await download(server.url, path, identity, fast);
    expect([read(path), server.ranges]).toEqual([whole, []]);
    // Without a known size the server says so.
    const other = newPath();
    leavePart(other, body);
    await download(server.url, other, { checksum: identity.checksum }, fast);
    expect([read(other), server.ranges]).toEqual([whole, ['bytes=300000-']]);
  });

  test('a server without ranges sends everything again', async () => {
    const server = await serve(body);
    const path = newPath();
    server.next.push(stallAfter(100_000), sendWhole);
    const onProgress = breakAt(server, 100_000);
    await download(server.url, path, { checksum: identity.checksum }, { ...fast, onProgress });
    expect(read(path)).toBe(whole);
  });

  test('errors that may pass are tried again, a limited number of times', async () => {
    const server = await serve(body);
    const path = newPath();
    server.next.push(answer(503), answer(429), hangUp);
    await download(server.url, path, identity, fast);
    expect(server.ranges).toHaveLength(4);

    server.next.push(...Array.from({ length: 9 }, () => answer(500)));
    await expect(download(server.url, newPath(), identity, { ...fast, retries: 2 })).rejects.toThrow('answered 500');
    expect(server.ranges).toHaveLength(7);
  });

  test('a refusal is final', async () => {
    const server = await serve(body);
    server.next.push(answer(404));
    await expect(download(server.url, newPath(), identity, fast)).rejects.toThrow('/file answered 404 Not Found');
    expect(server.ranges).toHaveLength(1);
  });

  test('a server that falls silent is asked again', async () => {
    const server = await serve(body);
    const path = newPath();
    server.next.push(stallAfter(70_000));
    await download(server.url, path, identity, { ...fast, stallTimeout: 200 });
    expect(read(path)).toBe(whole);
    expect(server.ranges.length).toBeGreaterThan(1);
  });

  test('another file than the expected is kept aside and never gets the name', async () => {
    const other = body.map((byte) => byte ^ 1);
    const server = await serve(other);
    const path = newPath();
    const failure = download(server.url, path, identity, fast);
    await expect(failure).rejects.toThrow(CorruptDataError);
    await expect(failure).rejects.toThrow(`${identity.checksum} was expected`);
    expect(existsSync(path)).toBe(false);
    expect(read(`${path}.part.corrupt`)).toBe(digest(other));
  });

  test('a wrong beginning that was left behind does not spoil the file', async () => {
    const server = await serve(body);
    const path = newPath();
    leavePart(path, new Uint8Array(1000));
    await download(server.url, path, identity, fast);
    expect([read(path), server.ranges]).toEqual([whole, ['bytes=1000-', undefined]]);
  });

  test('several at the same time do not disturb each other', async () => {
    const server = await serve(body);
    const path = newPath();
    server.next.push(stallAfter(100_000), stallAfter(150_000));
    const options = { ...fast, stallTimeout: 1000, onProgress: breakAt(server, 100_000, 150_000) };
    await Promise.all(Array.from({ length: 4 }, () => download(server.url, path, identity, options)));
    expect(read(path)).toBe(whole);
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk is an error, and no attempt is made again', async () => {
    const server = await serve(body);
    const path = newPath();
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync('/dev/full', `${path}.part`);
    await expect(download(server.url, path, identity, fast)).rejects.toThrow('ENOSPC');
    expect(server.ranges).toHaveLength(1);
  });

  test('can be stopped; what has arrived stays for the next time', async () => {
    const server = await serve(body);
    const path = newPath();
    const controller = new AbortController();
    server.next.push(stallAfter(60_000));
    const stopped = download(server.url, path, identity, {
      signal: controller.signal,
      onProgress: ({ receivedBytes }) => receivedBytes === 60_000 && controller.abort(),
    });
    await expect(stopped).rejects.toThrow('aborted');
    await download(server.url, path, identity, fast);
    expect([read(path), server.ranges]).toEqual([whole, [undefined, 'bytes=60000-']]);
  });

  test('an unreachable server is an error that says which', async () => {
    const { url } = await serve(body);
    const unreachable = url.replace(/:\d+/, ':1');
    await expect(download(unreachable, newPath(), identity, { ...fast, retries: 1 })).rejects.toThrow(
      `${unreachable} can't be read`,
    );
  });
});
