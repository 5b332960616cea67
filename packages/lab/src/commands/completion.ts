/** `fwp completion`: prints a script for a shell; and the hidden `fwp complete`, which the scripts ask. */

import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { suggestion } from '../suggest.ts';
import { type CliContext, print } from './cli-context.ts';

const HELP = `
Set up, once:
  bash   echo 'source <(fwp completion bash)' >> ~/.bashrc
  zsh    echo 'source <(fwp completion zsh)' >> ~/.zshrc
  fish   fwp completion fish > ~/.config/fish/completions/fwp.fish`;

/** Adds both commands. */
export function addCompletionCommand(program: Command, cli: CliContext): void {
  program
    .command('completion')
    .description('prints a script with which a shell completes commands, options, experiments and presets')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', HELP)
    .action(async (shell: string) => {
      const { SCRIPTS } = await import('../completion/shell-scripts.ts');
      const script = SCRIPTS[shell];
      if (script === undefined)
        throw new UsageError(`Unknown shell '${shell}'.${suggestion(shell, Object.keys(SCRIPTS))}`);
      print(cli, script.trimEnd());
    });
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      const { completeWords } = await import('../completion/complete-words.ts');
      const { projectValues } = await import('../completion/project-values.ts');
      const { FILES } = await import('../completion/shell-scripts.ts');
      const { files, words: found } = await completeWords(program, words, projectValues(process.cwd()));
      for (const { word, description } of found) print(cli, description === '' ? word : `${word}\t${description}`);
      if (files) print(cli, FILES);
    });
}
