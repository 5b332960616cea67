/** A folder of its own for a test file, and a file server on this machine. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';

/** Makes a folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fwp-datasets-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a text into a folder and returns its path. */
export function writeText(folder: string, name: string, text: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What a file with these bytes must be. */
export function identityOf(bytes: Uint8Array): { checksum: `sha256:${string}`; bytes: number } {
  return { checksum: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes: bytes.length };
}

/** Deals with one request. */
export type Handler = (request: IncomingMessage, response: ServerResponse, body: Uint8Array) => void;

/** A server that gives `body` to everyone, in the manner of its handler; it keeps count of the requests. */
export interface FileServer {
  readonly url: string;
  /** The `Range` header of each request, in their order. */
  readonly ranges: (string | undefined)[];
  /** Handlers for the next requests; after the last of them requests are served as by an ordinary server. */
  readonly next: Handler[];
  /** Breaks all connections that are open now. */
  breakConnections(): void;
}

/** Starts a server on 127.0.0.1 that ends after the test. */
export async function serve(body: Uint8Array): Promise<FileServer> {
  const ranges: (string | undefined)[] = [];
  const next: Handler[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    (next.shift() ?? sendWithRanges)(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakConnections = () => server.closeAllConnections();
  cleanups.push(() => {
    breakConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`, ranges, next, breakConnections };
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** Serves the part that is asked for. */
export const sendWithRanges: Handler = ({ headers }, response, body) => {
  const begin = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  if (begin >= body.length) return response.writeHead(416).end();
  const part = body.subarray(begin);
  const range = { 'content-range': `bytes ${begin}-${body.length - 1}/${body.length}` };
  return response
    .writeHead(begin > 0 ? 206 : 200, { 'content-length': part.length, ...(begin > 0 ? range : {}) })
    .end(part);
};

/** Serves the whole file whatever is asked for. */
export const sendWhole: Handler = (_, response, body) =>
  response.writeHead(200, { 'content-length': body.length }).end(body);

/** Serves the first `count` bytes of what is asked for, then nothing until the connection is broken. */
export const stallAfter =
  (count: number): Handler =>
  ({ headers }, response, body) => {
    const begin = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    response.writeHead(begin > 0 ? 206 : 200, { 'content-length': body.length - begin });
    response.write(body.subarray(begin, begin + count));
  };

/** Breaks the connection without an answer. */
export const hangUp: Handler = (_, response) => response.destroy();

/** Answers with a status and nothing else. */
export const answer =
  (status: number): Handler =>
  (_, response) =>
    response.writeHead(status).end();
