/**
 * Dawn in Node (package `webgpu`): the GPU object, and waiting for its asynchronous tasks without leaving JavaScript.
 *
 * Dawn finishes tasks (a mapped buffer, say) in callbacks that it hands to the global `setImmediate`, one at a time, for
 * as long as a task is open. Whoever starts tasks through {@link startTask} keeps hold of these callbacks, and can therefore call
 * them in a loop, which is how `tensor.dataSync()` works on this device.
 */

/** What the package `webgpu` exports. */
export interface DawnModule {
  /** Takes options of Dawn, none are needed: `'adapter=…'`, `'backend=…'`. */
  create(options: string[]): GPU;
  /** The classes and constants that browsers have as globals. */
  readonly globals: Readonly<Record<string, unknown>>;
}

/** Longest time that a thread sleeps between two looks at an open task, in milliseconds. */
const LONGEST_NAP = 0.2;
/** Looks without a nap: most tasks are finished by then. */
const EAGER_LOOKS = 50;

let callback: (() => void) | undefined;
/** What a napping thread waits for; made when it is needed, as pages without isolation have no memory to share. */
let sleeper: Int32Array | undefined;

/**
 * Starts a task of Dawn.
 *
 * @param start calls Dawn, and nothing else that uses `setImmediate`
 * @returns what `start` returns
 */
export function startTask<R>(start: () => R): R {
  const { setImmediate: original } = globalThis;
  const intercepted = (given: () => void): NodeJS.Immediate => {
    callback = given;
    return original(runCallback);
  };
  globalThis.setImmediate = intercepted as typeof setImmediate;
  try {
    return start();
  } finally {
    globalThis.setImmediate = original;
  }
}

/**
 * Blocks until a task has finished.
 *
 * @param isDone whether it has
 * @throws Error if a task was started without {@link startTask}, so that there is nothing to call
 */
export function waitForTask(isDone: () => boolean): void {
  for (let looks = 0; !isDone(); looks++) {
    if (callback === undefined) {
      throw new Error(
        'WebGPU: a tensor cannot be read synchronously while a task that other code started on Dawn is open. ' +
          'Use await tensor.data().',
      );
    }
    runCallback();
    if (looks >= EAGER_LOOKS) {
      sleeper ??= new Int32Array(new SharedArrayBuffer(4));
      Atomics.wait(sleeper, 0, 0, LONGEST_NAP);
    }
  }
}

/** Looks after open tasks. Dawn asks for the next look while there are any. */
function runCallback(): void {
  const given = callback;
  callback = undefined;
  if (given !== undefined) startTask(given);
}
