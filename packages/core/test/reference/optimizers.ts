/** Adam, AdamW, RMSProp and stochastic gradient descent in float64, one parameter element at a time, as in the papers. */

/** Settings of {@link referenceAdam}; see src/optim/adam.ts for the equations. */
export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly decoupled: boolean;
}

/** Returns the parameters after one update with each of the gradients. */
export function referenceAdam(
  initial: readonly number[],
  gradients: readonly number[][],
  settings: AdamSettings,
): number[] {
  const { learningRate, beta1, beta2, epsilon, weightDecay, decoupled } = settings;
  const p = [...initial];
  const m = p.map(() => 0);
  const v = p.map(() => 0);
  gradients.forEach((gradient, step) => {
    const t = step + 1;
    for (let i = 0; i < p.length; i++) {
      let g = gradient[i]!;
      if (decoupled) p[i] = p[i]! - learningRate * weightDecay * p[i]!;
      else g += weightDecay * p[i]!;
      m[i] = beta1 * m[i]! + (1 - beta1) * g;
      v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
      const mHat = m[i]! / (1 - beta1 ** t);
      const vHat = v[i]! / (1 - beta2 ** t);
      p[i] = p[i]! - (learningRate * mHat) / (Math.sqrt(vHat) + epsilon);
    }
  });
  return p;
}

/** Settings of {@link referenceSgd}; see src/optim/sgd.ts for the equations. */
export interface SgdSettings {
  readonly learningRate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

/** Returns the parameters after one update with each of the gradients. */
export function referenceSgd(
  initial: readonly number[],
  gradients: readonly number[][],
  settings: SgdSettings,
): number[] {
  const { learningRate, momentum, nesterov, weightDecay } = settings;
  const p = [...initial];
  const u = p.map(() => 0);
  for (const gradient of gradients) {
    for (let i = 0; i < p.length; i++) {
      const g = gradient[i]! + weightDecay * p[i]!;
      u[i] = momentum * u[i]! + g;
      p[i] = p[i]! - learningRate * (nesterov ? g + momentum * u[i]! : u[i]!);
    }
  }
  return p;
}

/** Settings of {@link referenceRmsProp}; see src/optim/rms-prop.ts for the equations. */
export interface RmsPropSettings {
  readonly learningRate: number;
  readonly alpha: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** Returns the parameters after one update with each of the gradients. */
export function referenceRmsProp(
  initial: readonly number[],
  gradients: readonly number[][],
  settings: RmsPropSettings,
): number[] {
  const { learningRate, alpha, epsilon, weightDecay } = settings;
  const p = [...initial];
  const v = p.map(() => 0);
  for (const gradient of gradients) {
    for (let i = 0; i < p.length; i++) {
      const g = gradient[i]! + weightDecay * p[i]!;
      v[i] = alpha * v[i]! + (1 - alpha) * g * g;
      p[i] = p[i]! - (learningRate * g) / (Math.sqrt(v[i]!) + epsilon);
    }
  }
  return p;
}
