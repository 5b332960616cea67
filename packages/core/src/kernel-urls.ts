/**
 * Where the compiled kernels lie. This file sits directly in `src/` and is bundled into `dist/`, so that the
 * same relative address finds `kernels/` from both, and bundlers see the `new URL(…, import.meta.url)` pattern.
 */

/** The WebAssembly kernels for a shared memory and worker threads. */
export const threadedWasmUrl: URL = new URL('../kernels/kernels.wasm', import.meta.url);

/** The WebAssembly kernels without threads, for pages that are not cross-origin isolated. */
export const singleWasmUrl: URL = new URL('../kernels/kernels-single.wasm', import.meta.url);

/** The native add-on; built where a C compiler is found. Never fetched by browsers. */
export function nativeAddonPath(): string {
  // Not written as `new URL('…', import.meta.url)`, or bundlers would try to include the file.
  const folder = new URL('.', threadedWasmUrl);
  return decodeURIComponent(new URL('kernels.node', folder).pathname);
}
