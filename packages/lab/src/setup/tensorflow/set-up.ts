/**
 * `fwp setup tensorflow`: makes device `tensorflow` work. Where the package @tensorflow/tfjs-node(-gpu) does, nothing is
 * done; else one is assembled of TensorFlow's libraries, the package's kernels and its binding, compiled here, in a folder of
 * the user in which the device looks first (`tensorflowFolder()` of @fwp/core).
 *
 * Everything is built beside that folder and tried in a process of its own before it takes the folder's place.
 */

import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TENSORFLOW_FILES, tensorflowFolder } from '@fwp/core';
import { SetupError, UsageError } from '../../errors.ts';
import { fileProblem } from '../../file-problems.ts';
import type { ProgressOutput } from '../../progress.ts';
import { formatBytes } from '../../report/number-format.ts';
import { stageFolder } from '../staged-folder.ts';
import { Steps } from '../steps.ts';
import { compileBinding, findCxxCompiler } from './binding.ts';
import { cudaFolders, keepLibraries, provideLibraries, type TensorflowPackage } from './libraries.ts';
import type { SetupContext } from './setup-context.ts';
import { provideTfjsNode, TFJS_NODE_VERSION } from './tfjs-node.ts';
import { tryDevice, type WorkingDevice } from './try-device.ts';

/** Options of {@link setUpTensorflow}. */
export interface TensorflowSetupOptions {
  /** Whether it must compute on a GPU. */
  readonly gpu?: boolean;
  /** A folder or wheel with TensorFlow's libraries; default: an installed Python package, else pip. */
  readonly from?: string;
  /** The Python command. Default `'python3'`. */
  readonly python?: string;
  /** Assembles one even where one works. */
  readonly again?: boolean;
  readonly output: ProgressOutput;
  /** Default: that of the process. */
  readonly project?: string;
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where it's assembled. Default: where the device looks, `tensorflowFolder()` of @fwp/core. */
  readonly folder?: string;
  /** Ends it, and undoes what was done. */
  readonly signal?: AbortSignal;
  /** How a device is tried; tests give their own. */
  readonly tryDevice?: typeof tryDevice;
}

/** What makes a folder one of ours. */
const RECORD = 'setup.json';

/** Bytes of disk space that are needed at most: for libraries that are there, unpacked ones, and those of CUDA too. */
const SPACE = { binding: 0.1e9, unpacked: 3e9, cuda: 15e9 } as const;

/**
 * Makes device `tensorflow` work.
 *
 * @throws UsageError for what can't be asked for here
 * @throws SetupError if it doesn't come to work; nothing is changed then
 * @throws InterruptedError if the signal is aborted; likewise
 */
export async function setUpTensorflow(options: TensorflowSetupOptions): Promise<void> {
  const { gpu = false, from, python = 'python3', again = false, output, signal } = options;
  const { project = process.cwd(), environment = process.env, folder = await tensorflowFolder() } = options;
  const steps = new Steps(output);
  const context: SetupContext = { steps, environment, project, signal };
  const attempt = (place: string): ReturnType<typeof tryDevice> => (options.tryDevice ?? tryDevice)(context, place);

  const present = await steps.run('device tensorflow at present', () => attempt(folder), describe);
  if (!('problem' in present) && !again && from === undefined && !(gpu && present.processor !== 'GPU')) {
    output.write(
      "It works, and nothing needs to be done. 'fwp setup tensorflow --again' assembles one all the same.\n",
    );
    return;
  }
  assertSupported();
  await assertOurs(folder);
  await asSetupError(folder, async () => {
    const compiler = await findCxxCompiler(context);
    await mkdir(dirname(folder), { recursive: true });
    await assertSpace(context, dirname(folder), from, gpu);
    await stageFolder(folder, async (staged) => {
      // Programs put their temporary files here too, so that nothing is left of them.
      const scratch = join(staged, 'scratch');
      await mkdir(scratch);
      const inside: SetupContext = { ...context, environment: { ...environment, TMPDIR: scratch } };
      const tensorflow = await provideLibraries(inside, staged, { from, gpu, python });
      const tfjsNode = join(staged, TENSORFLOW_FILES.package);
      await provideTfjsNode(inside, tfjsNode);
      await compileBinding(inside, { compiler, tensorflow, tfjsNode }, join(staged, TENSORFLOW_FILES.binding), scratch);
      await rm(`${tfjsNode}.download`, { recursive: true, force: true });
      await rm(scratch, { recursive: true, force: true });
      await keepLibraries(tensorflow);
      const working = await tryAssembled(steps, () => attempt(staged), gpu, tensorflow);
      await writeRecord(staged, tensorflow, working);
    });
  });
  output.write(`Device tensorflow is ready, in ${folder}. Use it with --device tensorflow; 'fwp doctor' shows it.\n`);
}

/**
 * Removes what {@link setUpTensorflow} assembled.
 *
 * @param place its folder; default: where the device looks
 */
export async function removeTensorflow(output: ProgressOutput, place?: string): Promise<void> {
  const folder = place ?? (await tensorflowFolder());
  if (!existsSync(folder)) {
    output.write(`Nothing was set up in ${folder}.\n`);
    return;
  }
  await assertOurs(folder);
  await new Steps(output).run(`removing ${folder}`, () => rm(folder, { recursive: true }));
}

/** Does what it's told; the file system's errors become errors of the set-up, with a way out. */
async function asSetupError(folder: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    throw new SetupError(
      `${problem}. Nothing was changed. Another folder than ${folder} can be chosen with the environment variable FWP_TENSORFLOW_DIR.`,
      { cause: error },
    );
  }
}

function assertSupported(): void {
  if (process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)) return;
  throw new UsageError(
    `On ${process.platform} (${process.arch}) there is nothing to assemble of: TensorFlow's wheels have libraries to compile ` +
      "against for Linux on x64 and arm64 only. Use device 'webgpu', 'native' or 'wasm', or 'npm install @tensorflow/tfjs-node'.",
  );
}

/** A folder that was filled by somebody else isn't touched. */
async function assertOurs(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR')
      throw new UsageError(`${folder} is not a folder. Choose another one by FWP_TENSORFLOW_DIR.`);
    throw error;
  });
  if (names.length === 0 || names.includes(RECORD)) return;
  throw new UsageError(
    `${folder} has files that 'fwp setup tensorflow' did not make. Empty it, or choose another folder by FWP_TENSORFLOW_DIR.`,
  );
}

async function assertSpace(
  { steps }: SetupContext,
  folder: string,
  from: string | undefined,
  gpu: boolean,
): Promise<void> {
  const unpacks = from === undefined || from.endsWith('.whl');
  const needed = !unpacks ? SPACE.binding : gpu ? SPACE.cuda : SPACE.unpacked;
  await steps.run(
    'disk space',
    async () => {
      const { bavail, bsize } = await statfs(folder);
      const free = bavail * bsize;
      if (free >= needed) return free;
      throw new SetupError(
        `${folder} has ${formatBytes(free)} free, but up to ${formatBytes(needed)} are needed. Free some, or choose a folder on another disk by FWP_TENSORFLOW_DIR.`,
      );
    },
    (free) => `${formatBytes(free)} free, at most ${formatBytes(needed)} needed`,
  );
}

async function tryAssembled(
  steps: Steps,
  attempt: () => ReturnType<typeof tryDevice>,
  gpu: boolean,
  tensorflow: TensorflowPackage,
): Promise<WorkingDevice> {
  return steps.run(
    'multiplying matrices with it',
    async () => {
      const tried = await attempt();
      if ('problem' in tried) throw new SetupError(`What was assembled does not work:\n${tried.problem}`);
      if (gpu && tried.processor !== 'GPU') {
        throw new SetupError(await noGpuMessage(tried, tensorflow));
      }
      return tried;
    },
    describe,
  );
}

/** What to do where TensorFlow runs without a GPU, and what it said itself. */
async function noGpuMessage({ version, messages = [] }: WorkingDevice, tensorflow: TensorflowPackage): Promise<string> {
  const hasCuda = (await cudaFolders(tensorflow)).length > 0;
  const lines = [
    `TensorFlow ${version} runs, but finds no GPU. Check with nvidia-smi that there is one with a driver; without --gpu the CPU is used.`,
    ...(hasCuda
      ? []
      : [
          `There are no CUDA libraries beside ${tensorflow.folder}: "pip install 'tensorflow[and-cuda]'" brings them, if the system has none.`,
        ]),
    ...(messages.length > 0 ? ['TensorFlow said:', ...messages] : []),
  ];
  return lines.join('\n');
}

function describe(tried: WorkingDevice | { readonly problem: string }): string {
  return 'problem' in tried ? tried.problem : `TensorFlow ${tried.version} on the ${tried.processor}`;
}

async function writeRecord(
  staged: string,
  { folder, isOwn }: TensorflowPackage,
  { version, processor }: WorkingDevice,
): Promise<void> {
  const record = {
    tensorflow: version,
    tfjsNode: TFJS_NODE_VERSION,
    processor,
    libraries: isOwn ? 'libraries' : folder,
    node: process.versions.node,
    date: new Date().toISOString(),
  };
  await writeFile(join(staged, RECORD), `${JSON.stringify(record, null, 2)}\n`);
}
