/** The frame of a page, and the pieces that reports of one run and comparisons of several share. */

import type { ChartModel, ChartPanel } from './chart.ts';
import { legendSvg, panelSvg } from './chart-svg.ts';
import { type Html, type HtmlValue, html, trustedHtml } from './html.ts';
import { STYLE } from './style.ts';

const WIDE = { width: 760, height: 400 };
const NARROW = { width: 380, height: 320 };
const PANEL = { width: 380, height: 270 };
/** More panels than this are folded away. */
const MOST_PANELS = 8;

/** A complete document; it loads nothing. */
export function page(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="@fwp/lab">
<title>${title}</title>
<style>${trustedHtml(STYLE)}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.markup;
}

/** A part of the page with a heading that can be linked to; nothing without content. */
export function section(id: string, heading: string, content: HtmlValue): Html | undefined {
  const inner = html`${content}`;
  if (inner.markup === '') return undefined;
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${heading}</h2>
${inner}
</section>
`;
}

/** A table with its caption above; if it is wide, it scrolls by itself instead of widening the page. */
export function captioned(caption: string, table: Html): Html {
  return html`<p class="caption">${caption}</p>
${scrolling(caption, table)}`;
}

/** A table that needs no caption on the screen. */
export function scrolling(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>
`;
}

/** Names and values, one per line. */
export function settingsTable(caption: string, entries: readonly (readonly [name: string, value: string])[]): Html {
  const rows = entries.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`);
  const table = html`<table class="settings" aria-label="${caption}">
<thead hidden><tr><th scope="col">name</th><th scope="col">value</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`;
  return captioned(caption, table);
}

/** A diagram with its legend. One panel is drawn twice, for wide and for narrow screens; several flow. */
export function chartFigure(chart: ChartModel): Html {
  const [first, ...others] = chart.panels;
  const drawings =
    first !== undefined && others.length === 0
      ? html`<div class="wide">${svg(chart, first, WIDE)}</div><div class="narrow">${svg(chart, first, NARROW)}</div>`
      : manyPanels(chart);
  return html`<figure class="chart">
<figcaption>${chart.title}</figcaption>
${legend(chart)}
${drawings}
</figure>
`;
}

/** The first panels; if there are many, the others only when the reader asks for them. */
function manyPanels(chart: ChartModel): Html {
  const { panels } = chart;
  const shown = panels.length <= MOST_PANELS + 1 ? panels.length : MOST_PANELS;
  const grid = (some: readonly ChartPanel[]): Html => html`<div class="panels">
${some.map(
  (panel) => html`<div class="panel"><p class="panel-title">${panel.title}</p>${svg(chart, panel, PANEL)}</div>\n`,
)}</div>`;
  const rest = panels.slice(shown);
  return html`${grid(panels.slice(0, shown))}${
    rest.length > 0 && html`<details><summary>${rest.length} more</summary>${grid(rest)}</details>`
  }`;
}

function svg(chart: ChartModel, panel: ChartPanel, size: { width: number; height: number }): Html {
  return trustedHtml(panelSvg(chart, panel, size));
}

function legend(chart: ChartModel): Html {
  const lines = chart.panels.flatMap(({ lines }) => lines);
  const published = lines.some(({ kind }) => kind === 'published');
  const kind = lines.some((line) => line.kind === 'trace') ? 'trace' : 'mean';
  const entries = chart.series.map((name, index) => ({ name, icon: legendSvg(index, kind) }));
  if (published) entries.push({ name: 'dashed: as published', icon: legendSvg(0, 'published') });
  return html`<ul class="legend">
${entries.map(({ name, icon }) => html`<li>${trustedHtml(icon)}${name}</li>\n`)}</ul>`;
}
