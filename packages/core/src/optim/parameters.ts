/** What an optimiser optimises: variables with the names under which their state is stored. */

import { Variable } from '@tensorflow/tfjs-core';

/**
 * Parameters of an optimiser: a module, variables by name, or a list of variables. Variables of a list go by the path
 * under which their module listed them last (`module.parameters()`), others by their tfjs name.
 */
export type ParameterSource =
  | { namedParameters(): ReadonlyMap<string, Variable> }
  | ReadonlyMap<string, Variable>
  | Readonly<Record<string, Variable>>
  | readonly Variable[];

const paths = new WeakMap<Variable, string>();

/** Remembers under which path a module lists a variable. */
export function rememberPath(variable: Variable, path: string): void {
  paths.set(variable, path);
}

/** The path under which a module listed a variable last, or the variable's tfjs name. */
export function parameterName(variable: Variable): string {
  return paths.get(variable) ?? variable.name;
}

/**
 * The variables of `source` by name, in its order; a variable that occurs twice counts once.
 *
 * @throws RangeError if there are none or two have the same name
 * @throws TypeError if something else than variables is in it
 */
export function collectParameters(source: ParameterSource): Map<string, Variable> {
  const result = new Map<string, Variable>();
  const seen = new Set<Variable>();
  for (const [name, variable] of entriesOf(source)) {
    if (!(variable instanceof Variable)) {
      throw new TypeError(`Parameter '${name}' must be a tf.Variable. Make one with tf.variable(tensor).`);
    }
    if (seen.has(variable)) continue;
    if (result.has(name)) {
      throw new RangeError(
        `Two parameters are called '${name}'. Give their modules a common parent, or pass a Map with names of your own.`,
      );
    }
    seen.add(variable);
    result.set(name, variable);
  }
  if (result.size === 0) throw new RangeError('An optimizer needs at least one parameter, but there are none.');
  return result;
}

function entriesOf(source: ParameterSource): Iterable<[string, Variable]> {
  if (Array.isArray(source)) {
    return (source as Variable[]).map((variable, i) => [
      variable instanceof Variable ? parameterName(variable) : `${i}`,
      variable,
    ]);
  }
  if (source instanceof Map) return source;
  if (typeof (source as { namedParameters?: unknown }).namedParameters === 'function') {
    return (source as { namedParameters(): ReadonlyMap<string, Variable> }).namedParameters();
  }
  return Object.entries(source as Record<string, Variable>);
}
