/** Feature maps of linear attention with fused normalisation, and their gradients. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { rowsOf } from './softmax.ts';

/** What features are divided by, in the order of the C kernels. */
export const FEATURE_NORMALIZATIONS = ['none', 'sum', 'l2'] as const;

/** Maps of single elements, in the order of the C kernels. */
export const ELEMENTWISE_MAPS = ['identity', 'eluPlusOne', 'relu'] as const;

/** Attributes that all kernels of this file share. */
export interface NormalizationAttributes {
  normalization: (typeof FEATURE_NORMALIZATIONS)[number];
  epsilon: number;
}

/** Attributes of `FwpElementwiseFeatures`. */
export interface ElementwiseAttributes extends NormalizationAttributes {
  map: (typeof ELEMENTWISE_MAPS)[number];
}

/** Attributes of `FwpDpfp`. */
export interface DpfpAttributes extends NormalizationAttributes {
  nu: number;
}

/** Attributes of `FwpFavorPlus`. */
export interface FavorPlusAttributes extends NormalizationAttributes {
  floor: number;
}

/**
 * Kernels of the feature maps. `norm` is what each row was divided by; it has no elements without normalisation.
 *
 * | kernel                       | inputs         | outputs                               |
 * |------------------------------|----------------|---------------------------------------|
 * | `FwpElementwiseFeatures`     | x              | y, norm                               |
 * | `FwpElementwiseFeaturesGrad` | y, norm, dy    | dx                                    |
 * | `FwpDpfp`                    | x              | y, norm                               |
 * | `FwpDpfpGrad`                | x, norm, dy    | dx                                    |
 * | `FwpFavorPlus`               | x, u           | y, norm                               |
 * | `FwpFavorPlusGrad`           | x, y, norm, dy | dx (without what comes through u), du |
 */
export const featureMapKernels: KernelTable = {
  FwpElementwiseFeatures: elementwise,
  FwpElementwiseFeaturesGrad: elementwiseGrad,
  FwpDpfp: dpfp,
  FwpDpfpGrad: dpfpGrad,
  FwpFavorPlus: favorPlus,
  FwpFavorPlusGrad: favorPlusGrad,
};

function elementwise({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x } = inputs as { x: TensorInfo };
  const { map, ...normalization } = attrs as ElementwiseAttributes;
  const [rows, n] = rowsOf(x);
  return floatOutputs(backend, [x.shape, normShape(normalization, rows)], (to) => {
    backend.engine.run(
      'elementwise_features',
      ...[backend.offsetOf(x), ...to, rows, n],
      ...[ELEMENTWISE_MAPS.indexOf(map), ...numbers(normalization)],
    );
  });
}

function elementwiseGrad({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { y, norm, dy } = inputs as Record<'y' | 'norm' | 'dy', TensorInfo>;
  const { map, normalization } = attrs as ElementwiseAttributes;
  return floatOutputs(backend, [y.shape], ([dx]) => {
    backend.engine.run(
      'elementwise_features_grad',
      ...offsets(backend, y, norm, dy),
      dx as number,
      ...rowsOf(y),
      ...[ELEMENTWISE_MAPS.indexOf(map), FEATURE_NORMALIZATIONS.indexOf(normalization)],
    );
  });
}

function dpfp({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x } = inputs as { x: TensorInfo };
  const { nu, ...normalization } = attrs as DpfpAttributes;
  const [rows, n] = rowsOf(x);
  const shapes = [[...x.shape.slice(0, -1), 2 * n * nu], normShape(normalization, rows)];
  return floatOutputs(backend, shapes, (to) => {
    backend.engine.run('dpfp', backend.offsetOf(x), ...to, rows, n, nu, ...numbers(normalization));
  });
}

function dpfpGrad({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x, norm, dy } = inputs as Record<'x' | 'norm' | 'dy', TensorInfo>;
  const { nu, normalization } = attrs as DpfpAttributes;
  return floatOutputs(backend, [x.shape], ([dx]) => {
    backend.engine.run(
      'dpfp_grad',
      ...offsets(backend, x, norm, dy),
      dx as number,
      ...rowsOf(x),
      ...[nu, FEATURE_NORMALIZATIONS.indexOf(normalization)],
    );
  });
}

function favorPlus({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x, u } = inputs as Record<'x' | 'u', TensorInfo>;
  const { floor, ...normalization } = attrs as FavorPlusAttributes;
  const [rows, n] = rowsOf(x);
  const m = u.shape.at(-1) as number;
  const shapes = [[...x.shape.slice(0, -1), 2 * m], normShape(normalization, rows)];
  return floatOutputs(backend, shapes, (to) => {
    backend.engine.run(
      'favor_plus',
      ...[...offsets(backend, x, u), ...to, rows, n, m],
      ...[1 / Math.sqrt(2 * m), floor, ...numbers(normalization)],
    );
  });
}

function favorPlusGrad({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { x, y, norm, dy } = inputs as Record<'x' | 'y' | 'norm' | 'dy', TensorInfo>;
  const { floor, normalization } = attrs as FavorPlusAttributes;
  const [rows, n] = rowsOf(x);
  const m = (y.shape.at(-1) as number) / 2;
  return floatOutputs(backend, [x.shape, [...x.shape.slice(0, -1), m]], (to) => {
    backend.engine.run(
      'favor_plus_grad',
      ...[...offsets(backend, x, y, norm, dy), ...to, rows, n, m],
      ...[1 / Math.sqrt(2 * m), floor, FEATURE_NORMALIZATIONS.indexOf(normalization)],
    );
  });
}

function normShape({ normalization }: NormalizationAttributes, rows: number): number[] {
  return [normalization === 'none' ? 0 : rows];
}

function numbers({ normalization, epsilon }: NormalizationAttributes): [normalization: number, epsilon: number] {
  return [FEATURE_NORMALIZATIONS.indexOf(normalization), epsilon];
}

function offsets(backend: FwpBackend, ...tensors: TensorInfo[]): number[] {
  return tensors.map((tensor) => backend.offsetOf(tensor));
}
