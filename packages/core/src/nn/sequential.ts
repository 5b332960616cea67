/** Layers one after the other: y = fₙ(… f₂(f₁(x))). */

import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { Module } from './module.ts';

/** A module that maps one tensor to one tensor. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** Layers, and plain functions such as `tf.relu`, one after the other; parts go by their number. */
export class Sequential extends Module {
  readonly layers: readonly (Layer | ((x: Tensor) => Tensor))[];

  /** @param layers modules, which become parts of this one, or functions */
  constructor(layers: readonly (Layer | ((x: Tensor) => Tensor))[]) {
    super();
    layers.forEach((layer, i) => {
      if (layer instanceof Module) this.addModule(String(i), layer);
      else if (typeof layer !== 'function')
        throw new TypeError(`Sequential: layer ${i} must be a module or a function.`);
    });
    this.layers = [...layers];
  }

  /** Passes x through all layers. */
  forward(x: Tensor): Tensor {
    return tidy(() => this.layers.reduce((y, layer) => (layer instanceof Module ? layer.forward(y) : layer(y)), x));
  }
}
