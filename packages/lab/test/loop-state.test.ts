import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeState, encodeState } from '../src/loop-state.ts';

it('comes back from JSON as it was: NaN, infinities and −0 included', () => {
  const numbers = fc.oneof(
    fc.double(),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      numbers,
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('tree')),
      fc.dictionary(
        fc.string().filter((name) => name !== '__proto__'),
        tie('tree'),
        { noNullPrototype: true },
      ),
    ),
  }));
  const property = fc.property(tree, (state) => {
    expect(decodeState(JSON.parse(JSON.stringify(encodeState(state))))).toEqual(state);
  });
  fc.assert(property);
});

it.each([
  [{ a: { b: [new Float32Array(1)] } }, 'state.a.b.0 is a Float32Array'],
  [{ a: undefined }, 'state.a is undefined'],
  [{ a: () => 1 }, 'state.a is function'],
  [{ a: new Map() }, 'state.a is a Map'],
  [{ a: { $number: '1' } }, "state.a has a field '$number'"],
])('names what can not be stored', (state, message) => {
  expect(() => encodeState(state)).toThrow(message);
});
