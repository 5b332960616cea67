import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeExecution, type SymbolTask, type TokenBatch } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

/** The programs of a batch as text, statement by statement, with the name of the target of each token. */
function programsOf({ symbols, targetSymbols }: SymbolTask, batch: TokenBatch) {
  return sequencesOf(batch).map(({ inputs, targets, asked }) => {
    expect(asked).toEqual(asked.map((_, i) => i));
    expect(inputs.slice(asked.length).every((token) => token === 0)).toBe(true);
    const code = asked.map((i) => symbols[inputs[i] as number]).join(' ');
    return { code, targets: asked.map((i) => targetSymbols[targets[i] as number]) };
  });
}

/**
 * Runs a program and returns the target of each token: `quirk` as the generator does it, else as Python would. NaN and
 * undefined show the use of a variable without a value.
 */
function run(code: string, quirk = true): { readonly targets: string[]; readonly values: number[] } {
  const variables: Record<string, number> = {};
  const values: number[] = [];
  const targets = code.split(/(?<=;) /).flatMap((statement) => {
    const [, condition, body = ''] = /^(?:if (.*) : )?(.*)$/.exec(statement) ?? [];
    const [name, comparison, bound] = condition?.split(' ') ?? [];
    const value = variables[name as string] as number;
    const holds = condition === undefined || (comparison === '<' ? value < Number(bound) : value > Number(bound));
    const [first, second, third] = body.split(' ') as [string, string, string];
    const target: string[] = statement.split(' ').map(() => '_');
    if (second === '=') {
      if (holds && !(quirk && condition && first in variables)) variables[first] = Number(third);
    } else if (first === 'print') {
      if (holds) target[target.length - 1] = String(variables[second]);
    } else if (holds) {
      variables[first] = (variables[first] as number) + (second === '++' ? 1 : -1);
    }
    values.push(...Object.values(variables));
    return target;
  });
  return { targets, values };
}

const STATEMENT = /^(if [a-z] [<>] \d : )?([a-z] = \d|[a-z] (\+\+|--)|print [a-z]) ;$/;

describe('codeExecution', () => {
  test('programs are well formed and every target is what an interpreter prints', () => {
    const options = fc.record({
      variables: fc.integer({ min: 1, max: 10 }),
      statements: fc.integer({ min: 2, max: 60 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(options, (options) => {
        const task = codeExecution(options);
        expect([task.vocabularySize, task.targetCount]).toEqual([20 + options.variables, 26]);
        for (const { code, targets } of programsOf(task, task.batch(0, 3))) {
          const statements = code.split(/(?<=;) /);
          expect(statements).toHaveLength(options.statements);
          for (const statement of statements) expect(statement).toMatch(STATEMENT);
          expect(statements[0]).toMatch(/^[a-z] =/);
          expect(statements.at(-1)).toMatch(/^print/);
          const expected = run(code);
          expect(targets).toEqual(expected.targets);
          expect(expected.values.every((value) => value >= -8 && value <= 16)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('an assignment under a condition does nothing to a variable that has a value', () => {
    expect(run('x = 1 ; if x < 5 : x = 7 ; print x ;').targets.at(-1)).toBe('1');
    expect(run('x = 1 ; if x < 5 : x = 7 ; print x ;', false).targets.at(-1)).toBe('7');
    const task = codeExecution({ seed: 1 });
    const programs = programsOf(task, task.batch(0, 20));
    const tellNothing = programs.filter(({ code, targets }) => run(code, false).targets.join() === targets.join());
    expect(tellNothing.length).toBeLessThan(5);
  });

  test('lengths, prints and values are as in the published data', () => {
    const task = codeExecution({ seed: 1 });
    const programs = programsOf(task, task.batch(0, 200));
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    expect(Math.abs(mean(programs.map(({ targets }) => targets.length)) - 457)).toBeLessThan(8);
    const printed = programs.map(({ targets }) => targets.filter((target) => target !== '_'));
    expect(Math.abs(mean(printed.map(({ length }) => length)) - 29)).toBeLessThan(1.5);
    expect(new Set(printed.flat()).size).toBeGreaterThan(15);
    expect(task.lengths.train).toBeLessThan(600);
  });

  test('the kinds of statements are equally frequent; evaluation programs may have another length', () => {
    const task = codeExecution({ variables: 5, statements: 50, evaluationStatements: 10 });
    const statements = programsOf(task, task.batch(0, 100)).flatMap(({ code }) => code.split(/(?<=;) /).slice(1, -1));
    for (const kind of [/^if/, /^print/, /^. =/, /^. (\+\+|--)/]) {
      const count = statements.filter((statement) => kind.test(statement)).length;
      expect(Math.abs(count - 1200)).toBeLessThan(4.5 * Math.sqrt(900));
    }
    expect(new Set(statements.map((statement) => /([a-z]) =/.exec(statement)?.[1]))).toContain('b');
    const [program] = programsOf(task, task.batch(0, 1, 'test'));
    expect(program?.code.match(/;/g)).toHaveLength(10);
    expect(task.lengths.test).toBe(79);
  });

  test('refuses options out of range', () => {
    expect(() => codeExecution({ variables: 11 })).toThrow('variables must be an integer from 1 to 10, but is 11');
    expect(() => codeExecution({ statements: 1 })).toThrow('statements must be an integer of at least 2, but is 1');
    expect(() => codeExecution({ evaluationStatements: 0 })).toThrow('evaluationStatements must be an integer');
  });
});
