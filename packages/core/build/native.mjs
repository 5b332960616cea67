/**
 * Compiles the native engine, kernels/kernels.node, with the C compiler of this machine.
 *
 * The kernels (csrc/unit-*.c, which include all the others, and csrc/kernels.c, which joins them) are compiled once per
 * instruction set, and the add-on (csrc/native/binding.c) picks one of them when it is loaded. Used by the workspace build and, in the published
 * package, by the command `fwp-build-native`. Without a working compiler nothing is built and nothing fails: the
 * engine then runs as WebAssembly.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

const COMMON = ['-std=gnu17', '-fPIC', '-fvisibility=hidden', '-pthread'];
const WARNINGS = ['-Wall', '-Wextra', '-Werror=implicit-function-declaration'];
const KERNEL = ['-O3', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast', '-fno-strict-aliasing'];

/** Compiler flags of each instruction set, by `process.arch`; the name becomes FWP_VARIANT. */
const VARIANTS = {
  x64: {
    baseline: ['-msse4.2', '-mpopcnt'],
    avx2: ['-mavx2', '-mfma', '-mbmi2', '-mf16c'],
    avx512: [
      '-mavx512f',
      '-mavx512dq',
      '-mavx512bw',
      '-mavx512vl',
      '-mavx2',
      '-mfma',
      '-mbmi2',
      '-mf16c',
      '-mprefer-vector-width=512',
    ],
  },
  arm64: { neon: [] },
};

/** All C sources below a folder, as paths relative to it, sorted. */
export function listSources(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[ch]$/.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** The translation units of all kernels in a folder: `kernels.c` and what it joins. */
export function listUnits(folder) {
  const units = readdirSync(folder).filter((file) => /^unit-.+\.c$/.test(file));
  return ['kernels.c', ...units.sort()];
}

/** A source file and all that it includes, directly or not, as paths relative to the folder of sources. */
export function includedBy(folder, file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const text = readFileSync(join(folder, file), 'utf8');
  for (const [, name] of text.matchAll(/^#include "([^"]+)"/gm)) {
    const beside = join(dirname(file), name);
    includedBy(folder, existsSync(join(folder, beside)) ? beside : name, found);
  }
  return found;
}

/** A hash of some sources of a folder and of everything else that decides the outcome. */
export function fingerprint(folder, files, ...facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of files) {
    hash.update(`\0${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex');
}

/** Runs a program; resolves to its exit status (null if it could not be started) and output. */
function run(command, args) {
  return new Promise((resolve) => {
    execFile(command, args, { maxBuffer: 1 << 26, timeout: 600_000 }, (error, stdout, stderr) => {
      resolve({
        status: error ? (typeof error.code === 'number' ? error.code : null) : 0,
        output: `${stdout}${stderr}`,
      });
    });
  });
}

/** The first C compiler that answers: $CC (which may carry arguments), cc, gcc or clang. */
export async function findCompiler(env = process.env) {
  const candidates = env['CC']?.trim() ? [env['CC'].trim()] : ['cc', 'gcc', 'clang'];
  for (const candidate of candidates) {
    const [command, ...args] = candidate.split(/\s+/);
    const version = await run(command, [...args, '--version']);
    if (version.status !== 0) continue;
    const machine = await run(command, [...args, '-dumpmachine']);
    const identity = `${version.output.split('\n')[0].trim()} ${machine.output.trim()}`;
    return { command, args, identity, candidates };
  }
  return { command: null, args: [], identity: 'none', candidates };
}

/** Object files that nothing has used for so long are removed. */
const KEPT_MILLISECONDS = 7 * 24 * 3600 * 1000;

/** The bytes of a kept object file, or undefined if there is none. */
export function findObject(file) {
  if (!existsSync(file)) return undefined;
  const now = new Date();
  utimesSync(file, now, now);
  return readFileSync(file);
}

/** Keeps an object file in a folder, for other branches too, and removes those that were not used for a week. */
export function keepObject(folder, file, bytes) {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > KEPT_MILLISECONDS) rmSync(path, { force: true });
  }
  writeFileSync(`${file}.${process.pid}.tmp`, bytes);
  renameSync(`${file}.${process.pid}.tmp`, file);
}

/** Runs jobs, `width` at a time, and stops starting new ones after the first failure. */
async function inParallel(width, jobs) {
  const results = [];
  let failed = false;
  const worker = async () => {
    for (let job = jobs.shift(); job && !failed; job = jobs.shift()) {
      const result = await job();
      results.push(result);
      failed ||= result.status !== 0;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/**
 * Builds `<packageDir>/kernels/kernels.node` unless it is up to date.
 *
 * Object files are kept in the folder `objects`, if one is given, and used again until something that they were made of
 * changes.
 *
 * Returns `{ state, message }`, where state is `built`, `fresh`, `off` (FWP_NATIVE=0) or `unavailable`; only when
 * FWP_NATIVE=1 asks for the native engine does a failure throw. The compiler's full output is kept in
 * kernels/native.log when something goes wrong.
 */
export async function buildNative({ packageDir, objects: kept, force = false, env = process.env, log = () => {} }) {
  const csrc = join(packageDir, 'csrc');
  const out = join(packageDir, 'kernels');
  const addon = join(out, 'kernels.node');
  const stamp = join(out, 'kernels.node.json');
  const logFile = join(out, 'native.log');

  const unavailable = (reason, details) => {
    rmSync(addon, { force: true });
    rmSync(stamp, { force: true });
    rmSync(logFile, { force: true });
    const message = `native engine not built: ${reason}; using WebAssembly`;
    if (env['FWP_NATIVE'] === '1') {
      throw new Error(details ? `native engine not built: ${reason}\n${details}` : message);
    }
    if (details) writeFileSync(logFile, details);
    return { state: 'unavailable', message };
  };

  mkdirSync(out, { recursive: true });
  if (env['FWP_NATIVE'] === '0') {
    rmSync(addon, { force: true });
    rmSync(stamp, { force: true });
    return { state: 'off', message: 'native engine not built: FWP_NATIVE=0' };
  }
  const variants = process.platform === 'win32' ? undefined : VARIANTS[process.arch];
  if (!variants) return unavailable(`${process.platform}-${process.arch} is not supported`);
  const binding = join(csrc, 'native', 'binding.c');
  for (const file of [join(csrc, 'kernels.c'), binding]) {
    if (!existsSync(file)) return unavailable(`${relative(packageDir, file)} is missing`);
  }
  const compiler = await findCompiler(env);
  if (compiler.command === null) {
    return unavailable(`no C compiler found (looked for ${compiler.candidates.join(', ')})`);
  }

  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  const link =
    process.platform === 'darwin'
      ? ['-bundle', '-undefined', 'dynamic_lookup']
      : ['-shared', '-Wl,-z,relro', '-Wl,-z,now'];
  const hash = fingerprint(
    csrc,
    listSources(csrc),
    { COMMON, WARNINGS, KERNEL, variants, link, arch: process.arch },
    compiler.identity,
    compiler.args,
  );
  if (!force && existsSync(addon) && existsSync(stamp)) {
    if (JSON.parse(readFileSync(stamp, 'utf8')).hash === hash) {
      return { state: 'fresh', message: 'native engine is up to date' };
    }
  }

  const scratch = mkdtempSync(join(tmpdir(), 'fwp-native-'));
  try {
    const cc = (args) => run(compiler.command, [...compiler.args, ...args]);

    // A compiler that cannot even compile an empty add-on (no libc headers, wrong architecture) is no compiler.
    const probe = join(scratch, 'probe.c');
    writeFileSync(probe, '#include <stdint.h>\n#include <pthread.h>\nint fwp_probe(void) { return 0; }\n');
    const probed = await cc([...COMMON, ...link, probe, '-o', join(scratch, 'probe.so')]);
    if (probed.status !== 0) {
      return unavailable(`${compiler.command} does not work here`, probed.output);
    }

    const objects = [];
    const compile = (name, source, args) => async () => {
      const object = join(scratch, `${name}.o`);
      objects.push(object);
      const files = [...includedBy(csrc, source)].sort();
      const facts = [COMMON, WARNINGS, args, compiler.identity, compiler.args];
      const cached = kept && join(kept, `${name}-${fingerprint(csrc, files, ...facts)}.o`);
      const found = cached && findObject(cached);
      if (found) {
        writeFileSync(object, found);
        return { status: 0, output: '', name };
      }
      const start = performance.now();
      const result = await cc([...COMMON, ...WARNINGS, ...args, '-I', csrc, '-c', join(csrc, source), '-o', object]);
      if (result.output) log(result.output.trimEnd());
      log(`  ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
      if (cached && result.status === 0) keepObject(kept, cached, readFileSync(object));
      return { ...result, name };
    };
    const units = listUnits(csrc);
    const jobs = Object.entries(variants).flatMap(([variant, flags]) =>
      units.map((unit) => {
        const name = `${variant}-${basename(unit, '.c')}`;
        return compile(name, unit, [...KERNEL, ...flags, `-DFWP_VARIANT=${variant}`]);
      }),
    );
    jobs.push(compile('binding', join('native', 'binding.c'), ['-O2', '-I', headers]));
    const results = await inParallel(2, jobs);
    const failed = results.find((result) => result.status !== 0);
    if (failed) {
      return unavailable(`${compiler.command} failed on ${failed.name} (details in kernels/native.log)`, failed.output);
    }

    const temporary = `${addon}.${process.pid}.tmp`;
    const linked = await cc([...COMMON, ...link, ...objects.sort(), '-o', temporary, '-lm']);
    if (linked.status !== 0) {
      rmSync(temporary, { force: true });
      return unavailable('linking failed (details in kernels/native.log)', linked.output);
    }
    renameSync(temporary, addon);
    writeFileSync(stamp, `${JSON.stringify({ hash, compiler: compiler.identity }, null, 2)}\n`);
    rmSync(logFile, { force: true });
    return { state: 'built', message: `native engine built with ${compiler.identity}` };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
