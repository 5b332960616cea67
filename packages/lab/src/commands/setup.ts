/** `fwp setup`: makes devices work that need more than a package of npm. */

import { type Command, InvalidArgumentError } from 'commander';
import type { CliContext } from './cli-context.ts';

interface SetupCommandOptions {
  readonly gpu?: boolean;
  readonly from?: string;
  readonly python?: string;
  readonly again?: boolean;
  readonly remove?: boolean;
}

const WHAT = 'tensorflow';

const HELP = `
Where the package @tensorflow/tfjs-node works, nothing is done. Otherwise one is assembled: TensorFlow's libraries from an
installed Python TensorFlow, or from the official wheel by pip (tensorflow-cpu; with --gpu tensorflow[and-cuda]), the kernels of
@tensorflow/tfjs-node without its install script, and its binding compiled by the C++ compiler. It goes to fwp/tensorflow in the
user's cache folder, or to FWP_TENSORFLOW_DIR; neither Python nor the project is changed. If it fails, nothing is changed at all.

Examples:
  fwp setup tensorflow
  fwp setup tensorflow --gpu
  fwp setup tensorflow --from ~/venv/lib/python3.12/site-packages/tensorflow
  fwp setup tensorflow --from tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl
  fwp setup tensorflow --remove

Exit status: 0 if it works in the end, 1 if it doesn't, 130 after Ctrl-C.`;

/** Adds the command. */
export function addSetupCommand(program: Command, cli: CliContext): void {
  program
    .command('setup')
    .description('makes device tensorflow work: TensorFlow through the kernels of tfjs-node')
    .argument('<device>', WHAT, (name: string) => {
      if (name !== WHAT) throw new InvalidArgumentError(`Only device ${WHAT} needs to be set up.`);
      return name;
    })
    .option('--gpu', 'with CUDA; it is an error if no GPU is found')
    .option('--from <path>', "a wheel, or a folder with TensorFlow's libraries, instead of looking for them")
    .option('--python <command>', 'the Python that is searched, and whose pip is used', 'python3')
    .option('--again', 'assemble one even where one works')
    .option('--remove', 'remove what was assembled')
    .addHelpText('after', HELP)
    .action(async (_device: string, { remove, ...options }: SetupCommandOptions) => {
      const { removeTensorflow, setUpTensorflow } = await import('../setup/tensorflow/set-up.ts');
      if (remove) {
        await removeTensorflow(cli.stderr);
        return;
      }
      const { InterruptedError } = await import('../errors.ts');
      const controller = new AbortController();
      const stop = (): void => controller.abort();
      process.on('SIGINT', stop).on('SIGTERM', stop);
      try {
        await setUpTensorflow({ ...options, output: cli.stderr, signal: controller.signal });
      } catch (error) {
        throw error instanceof InterruptedError ? new InterruptedError('Interrupted; nothing was changed.') : error;
      } finally {
        process.off('SIGINT', stop).off('SIGTERM', stop);
      }
    });
}
