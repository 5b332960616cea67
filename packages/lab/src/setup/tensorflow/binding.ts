/**
 * The binding between Node and TensorFlow's libraries, compiled from the two sources that are in the package
 * @tensorflow/tfjs-node against the headers that are in TensorFlow's Python package.
 */

import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { SetupError } from '../../errors.ts';
import { lastWords, type ProgramResult, runProgram } from '../program.ts';
import { cudaFolders, LIBRARIES, type TensorflowPackage } from './libraries.ts';
import type { SetupContext } from './setup-context.ts';

const SOURCES = ['tfjs_backend', 'tfjs_binding'] as const;
const COMPILERS = ['c++', 'g++', 'clang++'] as const;
/** The version of Node-API that the sources are written for; newer ones have all of it. */
const NODE_API = 8;
/** CUDA's libraries that TensorFlow opens by name. Where the binding needs them, they're loaded before it asks. */
const CUDA_LIBRARY =
  /^lib(?:cublas|cublasLt|cudart|cudnn|cufft|cupti|curand|cusolver|cusparse|nccl|nvJitLink)\.so\.\d+$/;

/** A C++ compiler. */
export interface Compiler {
  readonly command: string;
  /** Arguments that are part of the command, as in `CXX='ccache g++'`. */
  readonly args: readonly string[];
  /** What it calls itself. */
  readonly version: string;
}

/**
 * The first C++ compiler that answers: `$CXX`, c++, g++ or clang++.
 *
 * @throws SetupError if there is none
 */
export async function findCxxCompiler({ steps, environment, signal }: SetupContext): Promise<Compiler> {
  return steps.run(
    'C++ compiler',
    async () => {
      const chosen = environment['CXX']?.trim();
      const candidates = chosen ? [chosen] : COMPILERS;
      for (const candidate of candidates) {
        const [command = '', ...args] = candidate.split(/\s+/);
        const { status, stdout } = await runProgram(command, [...args, '--version'], { environment, signal });
        if (status === 0) return { command, args, version: stdout.split('\n')[0] ?? '' };
      }
      throw new SetupError(
        `No C++ compiler was found (looked for ${candidates.join(', ')}). Install one (Debian and Ubuntu: 'apt install ` +
          "build-essential'), or name it with the environment variable CXX.",
      );
    },
    ({ command, version }) => `${command}, ${version}`,
  );
}

/** What {@link compileBinding} makes a binding of. */
export interface BindingParts {
  readonly compiler: Compiler;
  readonly tensorflow: TensorflowPackage;
  /** Folder of the package tfjs-node. */
  readonly tfjsNode: string;
}

/**
 * Compiles and links the binding.
 *
 * @param output path of the binding
 * @param scratch folder for object files
 * @throws SetupError with the compiler's last words
 */
export async function compileBinding(
  { steps, environment, signal }: SetupContext,
  { compiler, tensorflow, tfjsNode }: BindingParts,
  output: string,
  scratch: string,
): Promise<void> {
  const { command, args } = compiler;
  const run = async (doing: string, words: readonly string[]): Promise<void> => {
    const result = await runProgram(command, [...args, ...words], { environment, signal });
    if (result.status !== 0) throw new SetupError(`${command} failed at ${doing}:\n${firstErrors(result)}`);
  };
  await steps.run('compiling the binding', async (tell) => {
    tell(SOURCES.map((name) => `${name}.cc`).join(', '));
    const headers = (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
    const include = [join(tensorflow.folder, 'include'), headers].flatMap((folder) => ['-I', folder]);
    const flags = ['-std=c++17', '-O2', '-fPIC', '-pthread', `-DNAPI_VERSION=${NODE_API}`, ...include];
    const objects = SOURCES.map((name) => join(scratch, `${name}.o`));
    await Promise.all(
      SOURCES.map((name, index) =>
        run(`${name}.cc`, [...flags, '-c', join(tfjsNode, 'binding', `${name}.cc`), '-o', objects[index] as string]),
      ),
    );
    tell('linking');
    const { libraries, runPaths } = await neededLibraries(tensorflow);
    const standIns = libraries.map((name) => join(scratch, name));
    // Of a library, a linker needs the name only; with the symbols of TensorFlow's 800 MB it would take up to a minute. The
    // loader, which is told to look up all symbols at once, finds out if one is missing.
    await Promise.all(
      libraries.map((name, index) =>
        run(name, ['-shared', `-Wl,-soname,${name}`, '-o', standIns[index] as string, '-x', 'c++', '/dev/null']),
      ),
    );
    const needed = ['-Wl,-z,now', '-Wl,--no-as-needed', ...standIns, ...runPaths.map((path) => `-Wl,-rpath,${path}`)];
    await run('linking', ['-shared', '-pthread', '-o', output, ...objects, ...needed]);
  });
}

/** Names of the libraries, TensorFlow's and CUDA's if they are beside it, and the folders in which the loader finds them. */
async function neededLibraries(
  tensorflow: TensorflowPackage,
): Promise<{ readonly libraries: readonly string[]; readonly runPaths: readonly string[] }> {
  const { folder, runPath } = tensorflow;
  const cuda = await cudaFolders(tensorflow);
  const names = await Promise.all(cuda.map((each) => readdir(each)));
  return {
    libraries: [...LIBRARIES, ...names.flat().filter((name) => CUDA_LIBRARY.test(name))],
    // CUDA's folders are beside TensorFlow's, wherever that is.
    runPaths: [runPath, ...cuda.map((each) => join(runPath, relative(folder, each)))],
  };
}

/** The first errors of a compiler, which cause the others. */
function firstErrors(result: ProgramResult): string {
  const errors = result.stderr.split('\n').filter((line) => /\berror\b|undefined reference|cannot find/i.test(line));
  return errors.length === 0 ? lastWords(result) : errors.slice(0, 5).join('\n');
}
