/**
 * `jasmine.mjs BUNDLE DEVICE FILTER SIMD`, started by run.mjs: runs tfjs's tests whose name contains FILTER in this
 * process and sends the outcome of each to the parent.
 */
import { pathToFileURL } from 'node:url';
import Jasmine from 'jasmine';

const [bundle, device, filter, simd] = process.argv.slice(2);
const runner = new Jasmine();
runner.clearReporters();
runner.exitOnCompletion = false;
// tfjs's tests build on one another here and there; they were written for a jasmine that kept their order.
runner.env.configure({ random: false, specFilter: (spec) => spec.getFullName().includes(filter) });
makeNamesUnique();

const { declareTests } = await import(pathToFileURL(bundle).href);
const observations = await declareTests(device, simd || undefined);

const tests = [];
const problems = [];
runner.addReporter({
  specDone({ fullName, status, failedExpectations }) {
    if (status === 'excluded') return;
    tests.push({
      name: fullName,
      status,
      messages: failedExpectations.map(({ message, stack }) => ({ message, stack })),
    });
  },
  suiteDone({ fullName, failedExpectations }) {
    for (const { message } of failedExpectations) problems.push(`${fullName}: ${message}`);
  },
  jasmineDone({ failedExpectations = [] }) {
    for (const { message } of failedExpectations) problems.push(message);
  },
});
await runner.execute();
process.send({ tests, problems, fallbackCalls: [...observations.fallbackCalls] }, () => process.exit(0));

/** Some of tfjs's tests share a name with a neighbour, which jasmine forbids now: the second becomes `name (2)`. */
function makeNamesUnique() {
  const used = [new Map()];
  const unique = (name) => {
    const names = used.at(-1);
    const count = (names.get(name) ?? 0) + 1;
    names.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  };
  const { describe, it } = globalThis;
  globalThis.it = (name, ...rest) => it(unique(name), ...rest);
  globalThis.describe = (name, declare) =>
    describe(unique(name), () => {
      used.push(new Map());
      declare();
      used.pop();
    });
}
