/**
 * Runs tfjs-core's own tests against the backend:
 * `node run.mjs [--device wasm|native|both|cpu] [--simd avx512|avx2|baseline|neon] [--filter TEXT] [--write]`.
 *
 * Fails when a test fails that excluded.json does not name, and also when one passes or is gone that it names.
 * `--filter` runs only tests whose full name contains TEXT; `--simd` chooses an instruction set of the native device
 * instead of the widest one; `cpu` is tfjs's own CPU backend with our gradients, the control; `--write` brings docs/tfjs-suite.md up to date.
 */
import { fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeResults } from '@fwp/results';
import { buildSuite } from './build.mjs';
import { writeReport } from './report.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const packageDir = join(here, '..', '..');
const DEVICES = { wasm: ['wasm'], native: ['native'], both: ['wasm', 'native'], cpu: ['cpu'] };

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'both' },
    simd: { type: 'string', default: '' },
    filter: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const devices = DEVICES[options.device];
if (devices === undefined) {
  throw new RangeError(`--device is one of ${Object.keys(DEVICES).join(', ')}, but was '${options.device}'.`);
}
const whole = options.filter === '' && options.simd === '';
if (options.write && !(whole && options.device === 'both')) {
  throw new RangeError('--write needs a whole run: --device both, no --filter and no --simd.');
}

const excluded = JSON.parse(readFileSync(join(here, 'excluded.json'), 'utf8'));
const bundle = await buildSuite();
const reports = [];
let failed = false;
for (const device of devices) {
  if (device === 'native' && !existsSync(join(packageDir, 'kernels', 'kernels.node'))) {
    const note = 'the native add-on was not built (no C compiler)';
    console.log(`tfjs suite on native: skipped, ${note}`);
    writeResults(packageDir, 'tfjs-suite-native', { passed: 0, failed: 0, skipped: 0, note });
    continue;
  }
  const report = judge(device, await runDevice(device));
  print(report);
  reports.push(report);
  failed ||= report.problems.length > 0;
  if (device !== 'cpu' && whole) {
    writeResults(packageDir, `tfjs-suite-${device}`, {
      passed: report.passed,
      failed: report.problems.length,
      skipped: report.excluded.length + report.pending.length,
      failures: report.problems,
    });
  }
}
if (options.write && !failed) await writeReport(reports);
process.exitCode = failed ? 1 : 0;

/** Runs the tests in a process of their own; its console output is shown only if it ends without a result. */
function runDevice(device) {
  return new Promise((resolve, reject) => {
    const child = fork(join(here, 'jasmine.mjs'), [bundle, device, options.filter, options.simd], { silent: true });
    let output = '';
    let result;
    const keep = (text) => {
      output = (output + text).slice(-4000);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('message', (message) => {
      result = message;
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (result !== undefined) resolve(result);
      else reject(new Error(`The tests on ${device} ended early (${signal ?? `status ${code}`}).\n${output}`));
    });
  });
}

/** Counts, and everything that is not as it should be. */
function judge(device, { tests, problems, fallbackCalls }) {
  const ofStatus = (status) => tests.filter((test) => test.status === status);
  const reasons = new Map(excluded.map(({ test, reason }) => [test, reason]));
  const statuses = new Map(tests.map((test) => [test.name, test.status]));
  const all = [...problems];
  for (const { name, messages } of ofStatus('failed')) {
    if (!reasons.has(name)) all.push(`${name}\n${messages.map(({ message }) => `    ${message}`).join('\n')}`);
  }
  for (const test of reasons.keys()) {
    if (!test.includes(options.filter)) continue;
    const status = statuses.get(test);
    if (status === undefined) all.push(`${test}\n    is in excluded.json, but there is no such test.`);
    else if (status !== 'failed') all.push(`${test}\n    is in excluded.json, but it ${status}. Remove it there.`);
  }
  if (tests.length === 0) all.push(`No test has '${options.filter}' in its name.`);
  return {
    device,
    passed: ofStatus('passed').length,
    pending: ofStatus('pending').map(({ name }) => name),
    excluded: ofStatus('failed').flatMap(({ name }) =>
      reasons.has(name) ? [{ name, reason: reasons.get(name) }] : [],
    ),
    problems: all,
    fallbackCalls: new Map(fallbackCalls),
  };
}

function print({ device, passed, pending, excluded: known, problems }) {
  for (const problem of problems) console.error(`FAILED ${problem}`);
  console.log(
    `tfjs suite on ${device}: ${passed} passed, ${problems.length} failed, ${known.length} excluded, ` +
      `${pending.length} pending in tfjs itself`,
  );
}
