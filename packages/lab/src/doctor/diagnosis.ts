/** What `fwp doctor` finds out about this machine, and what should be different. */

import { execFile } from 'node:child_process';
import { access, constants, readdir, readFile, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { freemem, loadavg, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { DeviceInfo } from '@fwp/core';
import { describeEnvironment } from '../environment.ts';
import { messageOf } from '../errors.ts';
import { measurePeaks, type Peaks } from './peaks.ts';

/** What `fwp doctor --json` prints. */
export interface Diagnosis {
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  /** Number of logical processors. */
  readonly processors: number;
  /** How many programs wanted to compute, on average over the last minute, before the measurements; 0 where unknown. */
  readonly load: number;
  /** Bytes. */
  readonly memory: { readonly total: number; readonly free: number };
  readonly devices: readonly DeviceDiagnosis[];
  /** The C compiler, which the native device needs when it is built. */
  readonly compiler: Tool | null;
  /** The browser that tests of the web packages drive. */
  readonly chromium: Tool | null;
  readonly folders: readonly FolderDiagnosis[];
  /** Versions by package. */
  readonly packages: Readonly<Record<string, string>>;
  readonly problems: readonly Problem[];
}

/** A device. */
export interface DeviceDiagnosis {
  readonly name: DeviceInfo['name'];
  readonly available: boolean;
  /** Why it isn't available, or what is worth knowing. */
  readonly notes: readonly string[];
  /** Instruction set or adapter; `''` if unknown. */
  readonly simd: string;
  /** Measured rates, of CPU engines only. */
  readonly peaks: readonly Peaks[];
}

/** A program. */
export interface Tool {
  readonly command: string;
  readonly version: string;
}

/** A folder that is written to. */
export interface FolderDiagnosis {
  readonly purpose: 'runs' | 'data';
  readonly path: string;
  readonly writable: boolean;
}

/** What should be different, and how to get there. */
export interface Problem {
  readonly problem: string;
  readonly advice: string;
}

/** How {@link diagnose} looks around; tests give their own. */
export interface DiagnosisOptions {
  /** Current folder. Default: that of the process. */
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: measures. */
  readonly measure?: typeof measurePeaks;
  /** Is told what is done at the moment. */
  readonly progress?: (what: string) => void;
}

const LEAST_NODE = [20, 19] as const;
const LEAST_MEMORY = 2 ** 30;
/** Default of `init`. */
const MOST_THREADS = 16;
const CPU_DEVICES = ['native', 'wasm'] as const;
const OPTIONAL_DEVICES = ['webgpu', 'tensorflow'] as const;

/** Looks at everything that @fwp uses; takes a few seconds, most of them for the measurements. */
export async function diagnose(options: DiagnosisOptions = {}): Promise<Diagnosis> {
  const { folder = process.cwd(), environment = process.env, measure = measurePeaks, progress = () => {} } = options;
  const { node, platform, cpu, processors, packages } = await describeEnvironment(folder, {});
  const load = loadavg()[0] ?? 0;
  const devices: DeviceDiagnosis[] = [];
  for (const name of CPU_DEVICES) {
    progress(`measuring ${name}`);
    devices.push(await diagnoseEngine(name, processors, measure));
  }
  for (const name of OPTIONAL_DEVICES) {
    progress(`looking for ${name}`);
    devices.push(await diagnoseOptional(name));
  }
  progress('looking for tools and folders');
  const found = {
    node,
    platform,
    processor: cpu,
    processors,
    load,
    memory: { total: totalmem(), free: freemem() },
    devices,
    compiler: await findTool([environment['CC'], 'cc', 'gcc', 'clang']),
    chromium: await findTool([environment['CHROMIUM'], 'chromium', 'chromium-browser', 'google-chrome', 'chrome']),
    folders: await diagnoseFolders(folder),
    packages: { ...packages, ...(await installedPackages(folder)) },
  };
  return { ...found, problems: [...problemsOf(found), ...(await tensorFlowProblems(folder))] };
}

/** What is wrong with what was found. */
export function problemsOf(found: Omit<Diagnosis, 'problems'>): Problem[] {
  const problems: Problem[] = [];
  const [major = 0, minor = 0] = found.node.split('.').map(Number);
  if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
    problems.push({
      problem: `Node.js ${found.node} is older than ${LEAST_NODE.join('.')}.`,
      advice: 'Install a current version from https://nodejs.org.',
    });
  }
  const [native, wasm] = CPU_DEVICES.map((name) => found.devices.find((device) => device.name === name));
  if (native?.available === false) {
    problems.push({
      problem: `The native device is not available, so that 'wasm' computes, which is slower. ${native.notes.join(' ')}`,
      advice:
        found.compiler === null
          ? "Install a C compiler (Debian and Ubuntu: 'apt install build-essential'; macOS: 'xcode-select --install'), then run 'npx fwp-build-native'."
          : "Run 'npx fwp-build-native' (in a checkout of the repository: 'npm run build').",
    });
  }
  if (wasm?.available === false) {
    problems.push({
      problem: `The WebAssembly device does not work: ${wasm.notes.join(' ')}`,
      advice: 'Reinstall @fwp/core.',
    });
  }
  if (found.load > found.processors / 2) {
    problems.push({
      problem: `Other programs are busy (load ${found.load.toFixed(1)}): the measured rates are lower than what is possible.`,
      advice: 'Close them and look again.',
    });
  }
  if (found.memory.free < LEAST_MEMORY) {
    problems.push({
      problem: 'Less than 1 GiB of memory is free.',
      advice: "Close other programs, or choose smaller batches with '--set'.",
    });
  }
  for (const { purpose, path, writable } of found.folders) {
    if (writable) continue;
    problems.push({
      problem: `The folder for ${purpose}, ${path}, can't be written to.`,
      advice:
        purpose === 'data'
          ? 'Set FWP_DATA_DIR to a folder that can.'
          : "Change to another folder, or use 'fwp run --out <folder>'.",
    });
  }
  return problems;
}

async function diagnoseEngine(
  name: 'native' | 'wasm',
  processors: number,
  measure: typeof measurePeaks,
): Promise<DeviceDiagnosis> {
  const all = Math.min(processors, MOST_THREADS);
  const peaks: Peaks[] = [];
  let info: DeviceInfo | undefined;
  try {
    for (const threads of all > 1 ? [1, all] : [1]) {
      const measured = await measure(name, threads);
      info = measured.info;
      peaks.push(measured.peaks);
    }
    return { name, available: true, notes: info?.notes ?? [], simd: info?.simd ?? '', peaks };
  } catch (error) {
    return { name, available: false, notes: [messageOf(error)], simd: '', peaks };
  }
}

async function diagnoseOptional(name: 'webgpu' | 'tensorflow'): Promise<DeviceDiagnosis> {
  const { dispose, init } = await import('@fwp/core');
  try {
    const { notes, simd } = await init({ device: name });
    return { name, available: true, notes, simd, peaks: [] };
  } catch (error) {
    return { name, available: false, notes: [messageOf(error)], simd: '', peaks: [] };
  } finally {
    await dispose();
  }
}

/** The first of some programs that tells its version. */
async function findTool(commands: readonly (string | undefined)[]): Promise<Tool | null> {
  for (const command of commands) {
    if (command === undefined || command === '') continue;
    try {
      const { stdout } = await promisify(execFile)(command, ['--version'], { timeout: 3000, windowsHide: true });
      return { command, version: stdout.split('\n')[0]?.trim() ?? '' };
    } catch {
      // Not this one.
    }
  }
  return null;
}

async function diagnoseFolders(folder: string): Promise<FolderDiagnosis[]> {
  const { dataFolder } = await import('@fwp/datasets/corpora');
  const runs = join(folder, 'runs');
  const data = dataFolder();
  return [
    { purpose: 'runs', path: runs, writable: await isWritable(runs) },
    { purpose: 'data', path: data, writable: await isWritable(data) },
  ];
}

/** Whether a folder can be written to or, if it isn't there yet, made; it isn't made for that. */
async function isWritable(path: string): Promise<boolean> {
  for (let here = resolve(path); ; here = dirname(here)) {
    try {
      await access(here, constants.W_OK | constants.X_OK);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(here) === here) return false;
    }
  }
}

/** The @fwp packages in the `node_modules` folders above. */
async function installedPackages(folder: string): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (let here = resolve(folder); ; here = dirname(here)) {
    const scope = join(here, 'node_modules', '@fwp');
    for (const name of await readdir(scope).catch(() => [])) {
      const manifest = await readFile(join(scope, name, 'package.json'), 'utf8').catch(() => undefined);
      if (manifest === undefined) continue;
      versions[`@fwp/${name}`] ??= (JSON.parse(manifest) as { version: string }).version;
    }
    if (dirname(here) === here) return versions;
  }
}

/** Two copies of tfjs-core do not know each other's tensors. */
async function tensorFlowProblems(folder: string): Promise<Problem[]> {
  const copyFor = async (from: string): Promise<string | undefined> => {
    try {
      return await realpath(createRequire(from).resolve('@tensorflow/tfjs-core/package.json'));
    } catch {
      return undefined;
    }
  };
  const ours = await copyFor(import.meta.url);
  const theirs = await copyFor(pathToFileURL(join(folder, 'package.json')).href);
  if (ours === undefined || theirs === undefined || ours === theirs) return [];
  return [
    {
      problem: `There are two copies of @tensorflow/tfjs-core: ${dirname(ours)} for @fwp/lab and ${dirname(theirs)} for this project. Tensors of one are unknown to the other.`,
      advice: "Install the same version everywhere ('npm dedupe', or an entry in 'overrides').",
    },
  ];
}
