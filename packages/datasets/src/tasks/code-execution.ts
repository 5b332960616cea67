/**
 * Code execution: programs of a small language are read token by token; at the end of a print statement the target is the
 * value that is printed. A model has to keep the values of all variables up to date.
 *
 *     x = 3 ; x ++ ; if x > 2 : y = 5 ; print x ;
 *     _ _ _ _ _ _ _ _ _ _ _ _  _ _ _ _ _     _ 4        (_: nothing is printed)
 *
 * Fan, Lavril, Grave, Joulin, Sukhbaatar, "Addressing Some Limitations of Transformers with Feedback Memory" (2020); drawn
 * and executed here as in Irie, Schlag, Csordás, Schmidhuber, "Going Beyond Linear Transformers with Recurrent Fast Weight
 * Programmers" (NeurIPS 2021), with a peculiarity of their generator: **an assignment under a condition is carried out only
 * if the variable has not been assigned before**. If it has, the assignment does nothing, whether the condition holds or not.
 */

import type { Random } from '../random.ts';
import { assertInteger, mapSplits, type TaskOptions } from '../task.ts';
import { type SymbolTask, symbolTask } from './symbol-task.ts';

const VARIABLES = ['x', 'y', 'z', 'a', 'b', 'c', 'd', 'e', 'f', 'g'];
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));
const KEYWORDS = ['=', '++', '--', 'print', 'if', '<', '>', ':', ';'];
/** What a variable may hold. Numbers in programs are digits; ++ and -- go further. */
const [LEAST, MOST] = [-8, 16];

/** Options of {@link codeExecution}. */
export interface CodeExecutionOptions extends TaskOptions {
  /** Variables, from 1 to 10. Default 3; the paper has 3 and 5. */
  readonly variables?: number;
  /** Statements of a training program, at least 2. Default 100. */
  readonly statements?: number;
  /** Statements of a validation or test program. Default: `statements`. */
  readonly evaluationStatements?: number;
}

/**
 * Programs of assignments (`x = 3 ;`), increments and decrements (`x ++ ;`), prints (`print x ;`) and those under a condition
 * (`if x < 5 : print x ;`), each kind equally often; the first statement is an assignment, the last a print. Every token of
 * the program has a target: 0 where nothing is printed, else v + 9 for the value v, from −8 to 16.
 *
 * In the paper a program counts as right if all its targets are predicted. Programs that are longer than the mean by more than
 * six standard deviations are drawn again, so that `lengths` needn't provide for them.
 *
 * @throws RangeError if an option is out of range
 */
export function codeExecution({
  variables = 3,
  statements = 100,
  evaluationStatements = statements,
  seed = 0,
}: CodeExecutionOptions = {}): SymbolTask {
  assertInteger('codeExecution: variables', variables, 1, VARIABLES.length);
  assertInteger('codeExecution: statements', statements, 2);
  assertInteger('codeExecution: evaluationStatements', evaluationStatements, 2);
  const symbols = ['', ...VARIABLES.slice(0, variables), ...DIGITS, ...KEYWORDS];
  const tokens = new Map(symbols.map((symbol, token) => [symbol, token]));
  const values = Array.from({ length: MOST - LEAST + 1 }, (_, i) => String(LEAST + i));
  const counts = { train: statements, validation: evaluationStatements, test: evaluationStatements };
  const description = {
    name: `code-execution/${variables}-variables`,
    symbols,
    targetSymbols: ['_', ...values],
    lengths: mapSplits(counts, longestProgram),
  };
  return symbolTask(description, seed, (row, random, split) => {
    let program = drawProgram(variables, counts[split], random);
    while (program.code.length > row.inputs.length) program = drawProgram(variables, counts[split], random);
    const { code, printed } = program;
    code.forEach((symbol, i) => {
      row.inputs[i] = tokens.get(symbol) as number;
      row.mask[i] = 1;
    });
    for (const [place, value] of printed) row.targets[place] = 1 + value - LEAST;
  });
}

/**
 * Tokens that a program may have: the most there can be, or six standard deviations above the mean if that is less. A
 * statement in the middle has 4, 3, 3 tokens or 5 and then 4, 3, 3, on average 55/12 with a variance of 709/144.
 */
function longestProgram(statements: number): number {
  const between = statements - 2;
  return 4 + Math.min(9 * between, Math.ceil((55 / 12) * between + 6 * Math.sqrt((709 / 144) * between))) + 3;
}

/** A program, its tokens by name; and the values that it prints, by the place of the semicolon at which it does. */
interface Program {
  readonly code: readonly string[];
  readonly printed: ReadonlyMap<number, number>;
}

function drawProgram(variableCount: number, statements: number, random: Random): Program {
  const code: string[] = [];
  const printed = new Map<number, number>();
  const values = new Map<string, number>();
  // In the order of their first assignment.
  const assigned: string[] = [];
  const read = (variable: string) => values.get(variable) as number;

  const assign = (mayChange: (variable: string) => boolean) => {
    const variable = VARIABLES[random.integer(variableCount)] as string;
    const value = random.integer(10);
    code.push(variable, '=', String(value), ';');
    if (!mayChange(variable)) return;
    if (!values.has(variable)) assigned.push(variable);
    values.set(variable, value);
  };
  const step = (isExecuted: boolean) => {
    const variable = random.choice(assigned);
    const value = read(variable);
    // What would leave the range goes the other way.
    const change = random.integer(2) === 0 ? (value < MOST ? 1 : -1) : value > LEAST ? -1 : 1;
    code.push(variable, change === 1 ? '++' : '--', ';');
    if (isExecuted) values.set(variable, value + change);
  };
  const print = (isExecuted: boolean) => {
    const variable = random.choice(assigned);
    code.push('print', variable, ';');
    if (isExecuted) printed.set(code.length - 1, read(variable));
  };
  const conditional = () => {
    const variable = random.choice(assigned);
    const comparison = random.choice('<>');
    const bound = random.integer(10);
    code.push('if', variable, comparison, String(bound), ':');
    const holds = comparison === '<' ? read(variable) < bound : read(variable) > bound;
    // The peculiarity: the condition alone does not let a variable be assigned a second time.
    const body = random.integer(3);
    if (body === 0) assign((variable) => holds && !values.has(variable));
    else (body === 1 ? step : print)(holds);
  };

  assign(() => true);
  for (let statement = 1; statement < statements - 1; statement++) {
    const kind = random.integer(4);
    if (kind === 0) assign(() => true);
    else if (kind === 1) step(true);
    else if (kind === 2) print(true);
    else conditional();
  }
  print(true);
  return { code, printed };
}
