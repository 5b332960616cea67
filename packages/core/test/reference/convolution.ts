/**
 * Convolution, depthwise convolution and their gradients in float64, from the definition:
 *
 *   y[b, i, j, o] = Σ_{p, q, c} x[b, i·s + p·d − top, j·s + q·d − left, c] · F[p, q, c, o]
 */

/** Sizes of a convolution; images are [batch, height, width, channels]. */
export interface Geometry {
  readonly batch: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly channels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly outputs: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  readonly top: number;
  readonly left: number;
  readonly outHeight: number;
  readonly outWidth: number;
}

/** A result, and for each element the sum of absolute products: what rounding errors are relative to. */
export interface Scaled {
  readonly values: Float64Array;
  readonly scale: Float64Array;
}

/** Calls `visit` with the flat indices into x, F and y of every product; depthwise: F is [height, width, channels]. */
function forEachProduct(g: Geometry, depthwise: boolean, visit: (x: number, filter: number, y: number) => void): void {
  for (let b = 0; b < g.batch; b++) {
    for (let i = 0; i < g.outHeight; i++) {
      for (let j = 0; j < g.outWidth; j++) {
        for (let p = 0; p < g.filterHeight; p++) {
          const row = i * g.strideHeight + p * g.dilationHeight - g.top;
          if (row < 0 || row >= g.inHeight) continue;
          for (let q = 0; q < g.filterWidth; q++) {
            const column = j * g.strideWidth + q * g.dilationWidth - g.left;
            if (column < 0 || column >= g.inWidth) continue;
            for (let c = 0; c < g.channels; c++) {
              const x = ((b * g.inHeight + row) * g.inWidth + column) * g.channels + c;
              const tap = (p * g.filterWidth + q) * g.channels + c;
              const y = (b * g.outHeight + i) * g.outWidth + j;
              if (depthwise) visit(x, tap, y * g.channels + c);
              else for (let o = 0; o < g.outputs; o++) visit(x, tap * g.outputs + o, y * g.outputs + o);
            }
          }
        }
      }
    }
  }
}

/** One of the three tensors as the sum of products of the other two. */
function sumProducts(
  g: Geometry,
  depthwise: boolean,
  size: number,
  product: (x: number, filter: number, y: number) => [at: number, value: number],
): Scaled {
  const values = new Float64Array(size);
  const scale = new Float64Array(size);
  forEachProduct(g, depthwise, (x, filter, y) => {
    const [at, value] = product(x, filter, y);
    values[at]! += value;
    scale[at]! += Math.abs(value);
  });
  return { values, scale };
}

const inputSize = (g: Geometry): number => g.batch * g.inHeight * g.inWidth * g.channels;
const outputSize = (g: Geometry, depthwise: boolean): number =>
  g.batch * g.outHeight * g.outWidth * (depthwise ? g.channels : g.outputs);
const filterSize = (g: Geometry, depthwise: boolean): number =>
  g.filterHeight * g.filterWidth * g.channels * (depthwise ? 1 : g.outputs);

/** y. */
export function convolutionReference(
  g: Geometry,
  x: ArrayLike<number>,
  filter: ArrayLike<number>,
  depthwise = false,
): Scaled {
  return sumProducts(g, depthwise, outputSize(g, depthwise), (i, f, o) => [o, x[i]! * filter[f]!]);
}

/** Gradient of Σ y · dy with respect to x. */
export function convolutionInputGradient(
  g: Geometry,
  dy: ArrayLike<number>,
  filter: ArrayLike<number>,
  depthwise = false,
): Scaled {
  return sumProducts(g, depthwise, inputSize(g), (i, f, o) => [i, dy[o]! * filter[f]!]);
}

/** Gradient of Σ y · dy with respect to the filter. */
export function convolutionFilterGradient(
  g: Geometry,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  depthwise = false,
): Scaled {
  return sumProducts(g, depthwise, filterSize(g, depthwise), (i, f, o) => [f, x[i]! * dy[o]!]);
}
