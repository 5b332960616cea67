/**
 * Sequences of tokens that batches are cut from: an array in memory, or something that reads a file where it is asked.
 */

/** Arrays that hold tokens. */
export type TokenArray = Uint8Array | Uint16Array | Int32Array;

/** A long sequence of tokens of which parts can be read. */
export interface TokenSource {
  /** Number of tokens. */
  readonly length: number;
  /** The tokens from `begin` to before `end`, for 0 ≤ begin ≤ end ≤ length. The caller must not write into them. */
  read(begin: number, end: number): TokenArray;
}

/** Tokens in memory as a {@link TokenSource}; a source stays what it is. */
export function tokenSource(tokens: TokenArray | TokenSource): TokenSource {
  if (!ArrayBuffer.isView(tokens)) return tokens;
  return { length: tokens.length, read: (begin, end) => tokens.subarray(begin, end) };
}
