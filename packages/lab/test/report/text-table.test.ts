import { expect, it } from 'vitest';
import { markdownTable } from '../../src/report/text-table.ts';

it('a row of a Markdown table is one line, whatever its cells say', () => {
  const table = markdownTable([{ title: 'claim' }, { title: 'x', align: 'right' }], [['a | b\nc\r\nd', '1']]);
  expect(table.split('\n')).toEqual(['| claim | x |', '| --- | ---: |', '| a \\| b<br>c<br>d | 1 |']);
});
