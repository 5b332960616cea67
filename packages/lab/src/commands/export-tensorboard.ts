/** `fwp export-tensorboard`: what was logged, for TensorBoard. */

import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type CliContext, print, printJson } from './cli-context.ts';

interface ExportOptions {
  readonly out?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addExportTensorBoardCommand(program: Command, cli: CliContext): void {
  program
    .command('export-tensorboard')
    .alias('tensorboard')
    .description("writes what was logged during training as TensorBoard's event files")
    .argument('<runs...>', 'run folders')
    .option('--out <folder>', "where to (default: 'tensorboard' in each run folder); each run gets a folder in it")
    .option('--json', 'one JSON document')
    .addHelpText(
      'after',
      '\nExample:\n  fwp export-tensorboard runs/deltanet-capacity/* --out logs\n  tensorboard --logdir logs',
    )
    .action(async (folders: readonly string[], { out, json }: ExportOptions) => {
      const { exportTensorBoard } = await import('../tensorboard/export.ts');
      const exports = [];
      for (const folder of folders) {
        const target = out === undefined ? undefined : join(out, basename(resolve(folder)));
        exports.push(await exportTensorBoard(folder, target));
      }
      if (json) printJson(cli, exports);
      else
        for (const { folder, trials, events } of exports) print(cli, `${folder}: ${events} events of ${trials} trials`);
    });
}
