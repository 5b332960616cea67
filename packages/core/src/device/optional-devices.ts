/** What devices behind optional peer packages have in common, and how these are imported. */

/** What a loaded package says about itself. */
export interface LoadedDevice {
  readonly backend: string;
  readonly simd: string;
  readonly version: string;
  /** Default 1. */
  readonly threads?: number;
  readonly notes: readonly string[];
  /** Registers the backend, where importing the package did not; called once the device before is gone. */
  readonly register?: () => void;
}

/** Imports an optional package, or returns why it cannot be had. */
export async function importOptional(name: string): Promise<{ module?: Record<string, unknown>; problem?: string }> {
  try {
    // The name goes through a variable so that bundlers do not insist on the package.
    return { module: (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Record<string, unknown> };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const absent = code === 'ERR_MODULE_NOT_FOUND' && message.includes(name);
    return { problem: absent ? 'is not installed' : `cannot be loaded: ${message.split('\n')[0]}` };
  }
}
