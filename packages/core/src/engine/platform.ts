/** What kind of JavaScript runtime this is. */

/** True in Node.js (worker threads included), false in browsers. */
export function isNode(): boolean {
  return typeof process === 'object' && typeof process.versions?.node === 'string';
}

/** Number of processors that threads can run on. */
export async function processorCount(): Promise<number> {
  if (isNode()) {
    const { availableParallelism } = await import('node:os');
    return availableParallelism();
  }
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}
