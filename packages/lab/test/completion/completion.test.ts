import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { completeWords, SHELLS, type ValueSources } from '../../src/completion/complete-words.ts';
import { SCRIPTS } from '../../src/completion/shell-scripts.ts';
import { fwp } from '../commands/run-command-line.ts';

const word = (text: string) => ({ word: text, description: '' });

const SOURCES: ValueSources = {
  experiments: async () => ['deltanet/capacity', 'deltanet/update-rule', 'srwm/miniimagenet'].map(word),
  presets: async (experiment) => [word(experiment === 'deltanet/capacity' ? 'quick' : 'any')],
  settings: async () => ['training.steps=', 'training.seed=', 'keys='].map(word),
  devices: async () => ['native', 'wasm'].map(word),
  suites: async () => ['gemm', 'training'].map(word),
};

function program(): Command {
  const root = new Command('fwp').version('1');
  root.command('list').description('lists');
  root.command('secret', { hidden: true });
  root
    .command('run')
    .argument('<experiment>')
    .option('--preset <name>', 'configuration')
    .option('--set <path=value>', 'setting')
    .option('--device <name>', 'device')
    .option('--out <folder>', 'where to')
    .option('--json', 'JSON');
  root.command('compare').alias('diff').argument('<runs...>');
  root.command('bench').argument('[suites...]');
  root.command('completion').argument('<shell>');
  return root;
}

async function complete(...words: readonly string[]): Promise<string[]> {
  const { files, words: found } = await completeWords(program(), words, SOURCES);
  return [...found.map((each) => each.word), ...(files ? [':files'] : [])];
}

describe('completeWords', () => {
  it('completes commands, without hidden ones', async () => {
    expect(await complete('')).toEqual(['list', 'run', 'compare', 'bench', 'completion', 'help']);
    expect(await complete('co')).toEqual(['compare', 'completion']);
    expect(await complete('help', 'l')).toEqual(['list']);
  });

  it('completes options of the command', async () => {
    expect(await complete('run', '--')).toEqual(['--preset', '--set', '--device', '--out', '--json', '--help']);
    expect(await complete('run', 'x', '--j')).toEqual(['--json']);
    expect(await complete('list', '--p')).toEqual([]);
  });

  it('completes experiments, and files beside them, until there is one', async () => {
    expect(await complete('run', 'delta')).toEqual(['deltanet/capacity', 'deltanet/update-rule', ':files']);
    expect(await complete('run', '--json', 'sr')).toEqual(['srwm/miniimagenet', ':files']);
    expect(await complete('run', '--device', 'wasm', 'sr')).toEqual(['srwm/miniimagenet', ':files']);
    expect(await complete('run', 'deltanet/capacity', '')).toEqual([]);
  });

  it('completes the values of options, for the experiment that was named', async () => {
    expect(await complete('run', 'deltanet/capacity', '--preset', '')).toEqual(['quick']);
    expect(await complete('run', '--preset', '')).toEqual(['any']);
    expect(await complete('run', 'x', '--set', 'training.')).toEqual(['training.steps=', 'training.seed=']);
    expect(await complete('run', 'x', '--device', 'w')).toEqual(['wasm']);
    expect(await complete('run', 'x', '--out', 'a')).toEqual([':files']);
  });

  it('completes every further argument where a command takes many', async () => {
    expect(await complete('compare', 'a', 'b', '')).toEqual([':files']);
    expect(await complete('diff', '')).toEqual([':files']);
    expect(await complete('bench', 'gemm', '')).toEqual(['training']);
  });

  it('completes shells', async () => {
    expect(await complete('completion', '')).toEqual(SHELLS);
    expect(await complete('completion', 'z')).toEqual(['zsh']);
  });
});

describe('fwp completion', () => {
  it('prints a script for every shell, and refuses others', async () => {
    expect(Object.keys(SCRIPTS)).toEqual(SHELLS);
    for (const shell of SHELLS) {
      expect(await fwp('completion', shell)).toEqual({ status: 0, stdout: SCRIPTS[shell], stderr: '' });
    }
    const { status, stderr } = await fwp('completion', 'bsh');
    expect(status).toBe(2);
    expect(stderr).toContain("Did you mean 'bash'?");
  });

  it('answers the scripts', async () => {
    const { status, stdout } = await fwp('complete', '--', 'exp');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^export-tensorboard\t\w/);
    expect((await fwp('complete', '--', 'run', 'x', '--device', 'wa')).stdout).toBe('wasm\n');
    expect((await fwp('complete', '--', 'report', '')).stdout).toBe(':files\n');
    expect((await fwp('complete', '--', '--ver')).stdout).toContain('--version');
  });
});

const hasBash = spawnSync('bash', ['-c', 'true']).status === 0;

describe.skipIf(!hasBash)('the script for bash', () => {
  /** What the shell offers for these words, if fwp prints these lines; the words that fwp was asked for come first. */
  function offered(words: readonly string[], lines: readonly string[]): string[] {
    const script = `
fwp() { printf 'asked %s\\n' "$*" >&3; printf '%b\\n' ${lines.map((line) => `'${line}'`).join(' ')}; }
compopt() { echo "compopt $*"; }
${SCRIPTS['bash']}
COMP_WORDS=(fwp ${words.map((each) => `'${each}'`).join(' ')}); COMP_CWORD=${words.length}
{ _fwp; } 3>&1
printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split('\n');
  }

  it('asks with all words up to the cursor, and offers the answers without their meanings', () => {
    expect(offered(['run', ''], ['one\\tthe first one', 'two'])).toEqual(['asked complete -- run ', 'one', 'two']);
  });

  it('leaves files to the shell, and sets no space behind what is not finished', () => {
    expect(offered(['run', 'x'], [':files'])).toContain('compopt -o default');
    expect(offered(['run', '--set', 'st'], ['steps='])).toEqual([
      'asked complete -- run --set st',
      'compopt -o nospace',
      'steps=',
    ]);
  });
});
