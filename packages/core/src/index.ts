/**
 * `@fwp/core`: the tensor core. A complete and fast CPU backend for TensorFlow.js, fused differentiable
 * operations, neural-network building blocks, optimisers, random numbers and checkpoints.
 *
 * @packageDocumentation
 */

export {
  DEVICES,
  type DeviceInfo,
  type DeviceName,
  device,
  dispose,
  type InitOptions,
  init,
  VERSION,
} from './device/device.ts';
export { CorruptFileError, DeviceUnavailableError, NotANumberError, OutOfMemoryError } from './errors.ts';
export {
  decodeSafetensors,
  encodeSafetensors,
  loadSafetensors,
  type SafetensorsContent,
  saveSafetensors,
} from './io/safetensors.ts';
