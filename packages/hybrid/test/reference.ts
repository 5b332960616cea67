/** The equations of a hybrid layer's memories in float64, for one head, element by element. */

/** Rows of numbers. */
export type Rows = readonly (readonly number[])[];

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Softmax attention of each query over the keys `seen(t)`, as pairs of first and last. */
export function windowReference(q: Rows, k: Rows, v: Rows, seen: (t: number) => [first: number, last: number]): Rows {
  const scale = 1 / Math.sqrt(q[0]!.length);
  return q.map((query, t) => {
    const [first, last] = seen(t);
    const keys = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const scores = keys.map((s) => scale * dot(query, k[s]!));
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return v[0]!.map((_, d) => keys.reduce((sum, s, i) => sum + (weights[i]! / total) * v[s]![d]!, 0));
  });
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** SiLU(u) / √(Σ SiLU(u)² + 10⁻⁶) */
export function features(u: readonly number[]): number[] {
  const y = u.map(silu);
  const length = Math.sqrt(y.reduce((sum, x) => sum + x * x, 0) + 1e-6);
  return y.map((x) => x / length);
}

/**
 * The delta rule: before each read at t, the pairs `writes(t)` are written with their strengths.
 *
 * @returns y_t = W φ(q_t) / √headSize
 */
export function fastWeightReference(
  q: Rows,
  k: Rows,
  v: Rows,
  writes: (t: number) => readonly { pair: number; beta: number }[],
): Rows {
  const [headSize, valueSize] = [k[0]!.length, v[0]!.length];
  const w = Array.from({ length: valueSize }, () => new Array<number>(headSize).fill(0));
  return q.map((query, t) => {
    for (const { pair, beta } of writes(t)) {
      const key = features(k[pair]!);
      const errors = w.map((row, d) => v[pair]![d]! - dot(row, key));
      for (const [d, row] of w.entries()) {
        for (let i = 0; i < headSize; i++) row[i]! += beta * errors[d]! * key[i]!;
      }
    }
    const asked = features(query);
    return w.map((row) => dot(row, asked) / Math.sqrt(headSize));
  });
}

/** Linear attention with φ(u) = ELU(u) + 1, normalised by the sum over time. */
export function linearAttentionReference(q: Rows, k: Rows, v: Rows): Rows {
  const map = (u: readonly number[]) => u.map((x) => (x > 0 ? x + 1 : Math.exp(x)));
  return q.map((query, t) => {
    const weights = k.slice(0, t + 1).map((key) => dot(map(query), map(key)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return v[0]!.map((_, d) => weights.reduce((sum, weight, s) => sum + (weight / total) * v[s]![d]!, 0));
  });
}
