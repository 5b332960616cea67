/** Pieces of WGSL that kernels share. */

/** Lines made of the numbers 0 to n − 1: loops over registers are written out, so that every register is a variable. */
export function unrolled(n: number, line: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => line(i)).join('\n');
}

/** Number of vectors of four that hold `size` numbers. */
export function vectorsOf(size: number): number {
  return Math.ceil(size / 4);
}

/** Elements of a tensor whose rows have `size` numbers, where a kernel reads rows by {@link vectorAccess}. */
export function vectorType(size: number): 'vec4f' | 'f32' {
  return size % 4 === 0 ? 'vec4f' : 'f32';
}

/**
 * `fn <tensor>_vector(row, vector) -> vec4f`: four numbers of a row of a tensor `[…, size]`, zeros beyond its end; and
 * `fn set_<tensor>_vector(row, vector, x)` for one that is written. Its elements are of {@link vectorType}.
 */
export function vectorAccess(tensor: string, size: number, written = false): string {
  if (vectorType(size) === 'vec4f') {
    const at = `row * ${size / 4}u + vector`;
    return `
fn ${tensor}_vector(row: u32, vector: u32) -> vec4f { return ${tensor}[${at}]; }
${written ? `fn set_${tensor}_vector(row: u32, vector: u32, x: vec4f) { ${tensor}[${at}] = x; }` : ''}`;
  }
  return `
fn ${tensor}_vector(row: u32, vector: u32) -> vec4f {
  let at = row * ${size}u + 4u * vector;
  var x = vec4f();
  for (var i = 0u; i < 4u && 4u * vector + i < ${size}u; i++) { x[i] = ${tensor}[at + i]; }
  return x;
}
${
  written
    ? `
fn set_${tensor}_vector(row: u32, vector: u32, x: vec4f) {
  let at = row * ${size}u + 4u * vector;
  for (var i = 0u; i < 4u && 4u * vector + i < ${size}u; i++) { ${tensor}[at + i] = x[i]; }
}`
    : ''
}`;
}

/**
 * Beginning of `main`: `lane` is an invocation's number in its workgroup, and `group_index(group, groups)` the workgroup's among all.
 *
 * @param lanes invocations of a workgroup
 */
export function entryPoint(lanes: number): string {
  return `@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {`;
}

/** `fn sum_of(x: vec4f) -> f32`. */
export const SUM_OF = `
fn sum_of(x: vec4f) -> f32 {
  return (x.x + x.y) + (x.z + x.w);
}`;

/** A value that is added up or compared by {@link workgroupReduction}. */
type Reduced = 'f32' | 'vec2f' | 'vec2i';

/**
 * `fn <name>(part, lane) -> …`: what the parts of a workgroup's invocations are together, from the first to the last, so that
 * the same parts give the same bits each time. All invocations get it, and all have to ask for it.
 *
 * @param lanes invocations of the workgroup
 * @param combine the expression of two
 */
export function workgroupReduction(
  name: string,
  lanes: number,
  type: Reduced,
  combine: (a: string, b: string) => string,
): string {
  const parts = `${name}_parts`;
  return `
var<workgroup> ${parts}: array<${type}, ${lanes}>;

fn ${name}(part: ${type}, lane: u32) -> ${type} {
  // Others may still be reading what was there.
  workgroupBarrier();
  ${parts}[lane] = part;
  workgroupBarrier();
  var all = ${parts}[0];
  for (var i = 1u; i < ${lanes}u; i++) { all = ${combine('all', `${parts}[i]`)}; }
  return all;
}`;
}

/** `fn total_of(part, lane) -> …`: the sum over a workgroup's invocations, as {@link workgroupReduction} gives it. */
export function workgroupSum(lanes: number, type: Reduced = 'f32'): string {
  return workgroupReduction('total_of', lanes, type, (a, b) => `${a} + ${b}`);
}

/** Expression of NaN, whose constant WGSL does not take; `number` is any u32 that is not one of the code's constants. */
export function nan(number: string): string {
  return `bitcast<f32>(0x7fc00000u | (${number} & 1u))`;
}

/** `fn sigmoid(x: f32) -> f32` and `fn tanh_of(x: f32) -> f32`, of which no exponential overflows. */
export const ACTIVATIONS = `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}
fn tanh_of(x: f32) -> f32 {
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}`;
