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
