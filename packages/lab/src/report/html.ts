/** HTML from templates: whatever is put in is escaped, unless it is HTML made here. */

/** A piece of HTML. */
export interface Html {
  readonly markup: string;
}

/** What a template takes; `undefined`, `null` and `false` are nothing. */
export type HtmlValue = Html | string | number | undefined | null | false | readonly HtmlValue[];

/** A template whose values are escaped, in text and in quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { markup: strings.reduce((text, part, index) => text + markupOf(values[index - 1]) + part) };
}

/** HTML from a source that is trusted: drawings made here. */
export function trustedHtml(markup: string): Html {
  return { markup };
}

/** Text for the inside of an element or of a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function markupOf(value: HtmlValue): string {
  if (value === undefined || value === null || value === false) return '';
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  if ('markup' in value) return value.markup;
  return value.map(markupOf).join('');
}
