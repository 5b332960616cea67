/**
 * Programs that do as if: a Python with and without TensorFlow and pip, npm, and a C++ compiler. They keep what they were
 * called with, and fail where a test wants them to.
 */

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** How the programs behave. */
export interface FakePrograms {
  /** The names of programs that fail. */
  readonly failing?: readonly string[];
  /** Folder of the TensorFlow that Python has; default: it has none. */
  readonly installed?: string;
  /** The version of tfjs-node that npm brings. Default `'4.22.0'`. */
  readonly tfjsNode?: string;
  /** What the compiler does instead of compiling, in words of the shell. Default: makes its output, empty. */
  readonly compile?: string;
}

/** Programs in a folder, and what is known of them. */
export interface InstalledFakes {
  readonly environment: Readonly<Record<string, string>>;
  /** The words of each call, with the program's name first. */
  readonly calls: () => string[][];
}

/** Files of the Python package `tensorflow`, with those of a wheel for CUDA where wanted. */
export function tensorflowFiles(
  version = '2.21.0',
  { cuda = false }: { readonly cuda?: boolean } = {},
): Record<string, string> {
  return {
    'tensorflow/libtensorflow_cc.so.2': 'cc',
    'tensorflow/libtensorflow_framework.so.2': 'framework',
    'tensorflow/include/tensorflow/c/c_api.h': '',
    'tensorflow/include/tensorflow/c/eager/c_api.h': '',
    'tensorflow/python/much.py': 'much',
    [`tensorflow_cpu-${version}.dist-info/METADATA`]: `Version: ${version}`,
    ...(cuda ? { 'nvidia/cudnn/lib/libcudnn.so.9': 'cudnn', 'nvidia/cudnn/lib/libcudnn_ops.so.9': 'ops' } : {}),
  };
}

/** Writes files into a folder. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** What the scripts share: they note their words line by line, with an empty line after each call. */
const COMMON = (name: string, log: string, fails: boolean): string => `#!/bin/sh
printf '%s\\n' ${name} "$@" '' >> '${log}'
value_of() {
  wanted=$1
  while shift && [ $# -gt 0 ]; do [ "$1" = "$wanted" ] && echo "$2" && return; done
}
is_question=$([ "$1" = --version ] || [ "$1" = -c ] && echo yes)
${fails ? `[ -z "$is_question" ] && { echo 'error: ${name} has no luck' >&2; exit 1; }` : ''}
`;

/** Installs the programs. */
export function installFakes(folder: string, programs: FakePrograms = {}): InstalledFakes {
  const { failing = [], installed = '', tfjsNode = '4.22.0', compile = 'touch "$(value_of -o "$@")"' } = programs;
  const [log, templates] = [join(folder, 'calls'), join(folder, 'templates')];
  writeFiles(join(templates, 'cpu'), tensorflowFiles());
  writeFiles(join(templates, 'gpu'), tensorflowFiles('2.21.0', { cuda: true }));
  writeFiles(join(templates, 'package'), {
    'package.json': JSON.stringify({ name: '@tensorflow/tfjs-node', version: tfjsNode }),
    'dist/nodejs_kernel_backend.js': '',
    'binding/tfjs_backend.cc': '',
    'binding/tfjs_binding.cc': '',
    'scripts/install.js': '',
  });
  const scripts: Record<string, string> = {
    python3: `[ "$1" = -c ] && { echo '${installed}'; exit; }
      case "$*" in *and-cuda*) wheel=gpu ;; *) wheel=cpu ;; esac
      target=$(value_of --target "$@")
      mkdir -p "$target" && cp -r '${templates}'/$wheel/. "$target"`,
    npm: `tar -czf "$(value_of --pack-destination "$@")/tfjs-node.tgz" -C '${templates}' package`,
    'c++': `[ -n "$is_question" ] && { echo 'c++ (fake) 12.2.0'; exit; }
      ${compile}`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFiles(folder, { [name]: `${COMMON(name, log, failing.includes(name))}${script}\n` });
    chmodSync(join(folder, name), 0o755);
  }
  const written = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  return {
    environment: { PATH: `${folder}:${process.env['PATH']}` },
    calls: () =>
      written()
        .split('\n\n')
        .slice(0, -1)
        .map((call) => call.trim().split('\n')),
  };
}
