/** An e-LSTM in float64, one batch element, step and unit at a time; the part of z comes before that of f. */

/** Sizes of {@link elementwiseLstmReference}. */
export interface ElementwiseLstmSizes {
  readonly batch: number;
  readonly time: number;
  readonly inputs: number;
  readonly hidden: number;
}

/** Everything that {@link elementwiseLstmReference} reads. */
export interface ElementwiseLstmValues {
  /** [batch, time, inputs]. */
  readonly x: ArrayLike<number>;
  /** [inputs, 2 · hidden]. */
  readonly inputWeight: ArrayLike<number>;
  /** [2 · hidden]. */
  readonly recurrentWeight: ArrayLike<number>;
  /** [2 · hidden]. */
  readonly bias: ArrayLike<number>;
  /** [batch, hidden]. */
  readonly initialState: ArrayLike<number>;
  /** [batch, time]: where the state is zero before the step. */
  readonly reset?: ArrayLike<number>;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** One unit at one step. */
interface UnitStep {
  /** c_{t-1}, after a reset. */
  readonly before: number;
  readonly z: number;
  readonly f: number;
  readonly c: number;
}

/** Unit n of batch element b through all steps. */
function unitSteps(
  values: ElementwiseLstmValues,
  { time, inputs, hidden }: ElementwiseLstmSizes,
  b: number,
  n: number,
): UnitStep[] {
  const steps: UnitStep[] = [];
  let c = values.initialState[b * hidden + n]!;
  for (let t = 0; t < time; t++) {
    const before = values.reset?.[b * time + t] ? 0 : c;
    const [z, f] = [n, hidden + n].map((column) => {
      let sum = values.bias[column]! + values.recurrentWeight[column]! * before;
      for (let d = 0; d < inputs; d++) {
        sum += values.x[(b * time + t) * inputs + d]! * values.inputWeight[d * 2 * hidden + column]!;
      }
      return sum;
    }) as [number, number];
    const step = { before, z: Math.tanh(z), f: sigmoid(f) };
    c = step.f * before + (1 - step.f) * step.z;
    steps.push({ ...step, c });
  }
  return steps;
}

/** c of all steps [batch, time, hidden] and of the last [batch, hidden]. */
export function elementwiseLstmReference(
  values: ElementwiseLstmValues,
  sizes: ElementwiseLstmSizes,
): [output: Float64Array, finalState: Float64Array] {
  const { batch, time, hidden } = sizes;
  const output = new Float64Array(batch * time * hidden);
  const finalState = Float64Array.from(values.initialState);
  for (let b = 0; b < batch; b++) {
    for (let n = 0; n < hidden; n++) {
      for (const [t, { c }] of unitSteps(values, sizes, b, n).entries()) {
        output[(b * time + t) * hidden + n] = c;
        finalState[b * hidden + n] = c;
      }
    }
  }
  return [output, finalState];
}

/** Gradients of all parameters, [inputs, 2 · hidden] and twice [2 · hidden], for the gradients `errors` of c of all steps. */
export type ElementwiseLstmParameterGradients = [
  inputWeight: Float64Array,
  recurrentWeight: Float64Array,
  bias: Float64Array,
];

function zeroGradients({ inputs, hidden }: ElementwiseLstmSizes): ElementwiseLstmParameterGradients {
  return [new Float64Array(inputs * 2 * hidden), new Float64Array(2 * hidden), new Float64Array(2 * hidden)];
}

/** Backpropagation through time. */
export function elementwiseLstmBpttReference(
  values: ElementwiseLstmValues,
  errors: ArrayLike<number>,
  sizes: ElementwiseLstmSizes,
): ElementwiseLstmParameterGradients {
  const { batch, time, inputs, hidden } = sizes;
  const gradients = zeroGradients(sizes);
  for (let b = 0; b < batch; b++) {
    for (let n = 0; n < hidden; n++) {
      const steps = unitSteps(values, sizes, b, n);
      let dc = 0;
      for (let t = time - 1; t >= 0; t--) {
        const { before, z, f } = steps[t]!;
        dc += errors[(b * time + t) * hidden + n]!;
        const [dz, df] = [dc * (1 - f) * (1 - z * z), dc * (before - z) * f * (1 - f)];
        for (const [column, d] of [[n, dz] as const, [hidden + n, df] as const]) {
          for (let i = 0; i < inputs; i++) {
            gradients[0][i * 2 * hidden + column]! += d * values.x[(b * time + t) * inputs + i]!;
          }
          gradients[1][column]! += d * before;
          gradients[2][column]! += d;
        }
        dc = dc * f + dz * values.recurrentWeight[n]! + df * values.recurrentWeight[hidden + n]!;
        if (values.reset?.[b * time + t]) dc = 0;
      }
    }
  }
  return gradients;
}

/**
 * Real-time recurrent learning: sensitivities [batch, inputs + 2, 2 · hidden] after the last step, and the gradients.
 *
 * @param sensitivities those before the first step
 */
export function elementwiseLstmRtrlReference(
  values: ElementwiseLstmValues,
  errors: ArrayLike<number>,
  sensitivities: ArrayLike<number>,
  sizes: ElementwiseLstmSizes,
): [sensitivities: Float64Array, ...ElementwiseLstmParameterGradients] {
  const { batch, time, inputs, hidden } = sizes;
  const s = Float64Array.from(sensitivities);
  const gradients = zeroGradients(sizes);
  for (let b = 0; b < batch; b++) {
    for (let n = 0; n < hidden; n++) {
      for (const [t, { before, z, f }] of unitSteps(values, sizes, b, n).entries()) {
        const dz = (1 - f) * (1 - z * z);
        const df = (before - z) * f * (1 - f);
        const a = f + dz * values.recurrentWeight[n]! + df * values.recurrentWeight[hidden + n]!;
        const error = errors[(b * time + t) * hidden + n]!;
        for (const [column, local] of [[n, dz] as const, [hidden + n, df] as const]) {
          for (let i = 0; i < inputs + 2; i++) {
            const u = i < inputs ? values.x[(b * time + t) * inputs + i]! : i === inputs ? before : 1;
            const place = (b * (inputs + 2) + i) * 2 * hidden + column;
            const carried = values.reset?.[b * time + t] ? 0 : a * s[place]!;
            s[place] = carried + local * u;
            const gradient = i < inputs ? gradients[0] : gradients[i - inputs + 1]!;
            gradient[(i < inputs ? i * 2 * hidden : 0) + column]! += error * s[place]!;
          }
        }
      }
    }
  }
  return [s, ...gradients];
}
