/** The report of one run as a page. */

import type { Artifact } from './artifacts.ts';
import { type ClaimResult, summarizeClaims } from './claims.ts';
import { type ComparisonTable, comparisonTables } from './comparison-table.ts';
import { flattenSettings } from './flatten-settings.ts';
import { columnTitle, oursText, publishedText, readable, tableCaption } from './format-table.ts';
import { type Html, html } from './html.ts';
import { formatBytes, formatCell, formatDifference, formatDuration } from './number-format.ts';
import { captioned, chartFigure, page, scrolling, section, settingsTable } from './page.ts';
import type { ReportData } from './report-data.ts';

/** The whole page. */
export function reportPage(data: ReportData): string {
  const { config } = data.run;
  const tables = comparisonTables(data);
  const body = html`${header(data)}
${section('claims', 'Claims', data.claims.length === 0 ? undefined : claimList(data.claims))}
${section('results', 'Results', [...tables.map(resultsTable), sources(tables), allTrials(data)])}
${section('charts', 'Curves', data.charts.map(chartFigure))}
${section('artifacts', 'Files', artifactList(data.artifacts))}
${section('configuration', 'Configuration', configuration(data))}
${section('environment', 'Environment', environment(data))}
${section('again', 'Run it again', again(data))}
<footer>${config.id}, preset ${config.preset}, ${readableDate(config.started)}. Made by @fwp/lab from the files of the run folder.</footer>`;
  return page(`${data.title} (${config.id})`, body);
}

function header(data: ReportData): Html {
  const { claims, description, paper, title } = data;
  const { config } = data.run;
  const measured = claims.filter(({ pass }) => pass !== null);
  const held = measured.every(({ pass }) => pass === true);
  const tone = measured.length === 0 ? '' : held ? 'good' : 'bad';
  const link =
    paper.url === '' ? undefined : html` <a href="${paper.url}">${paper.url.replace(/^https?:\/\//, '')}</a>`;
  return html`<header>
<p class="eyebrow">${config.id} · preset ${config.preset}</p>
<h1>${title}</h1>
<p>${description}</p>
<p class="citation">${paper.citation}${link}</p>
<p class="headline ${tone}">${sentence(summarizeClaims(claims))}.</p>
<p class="facts">${facts(data)}</p>
${notice(data)}
</header>`;
}

function facts({ run: { config, results } }: ReportData): string {
  const { device, seeds } = config;
  return [
    seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`,
    `${results.trials.length} of ${config.trials * seeds.length} trials`,
    `${formatDuration(results.seconds)} on ${device.name}, ${device.threads} ${device.threads === 1 ? 'thread' : 'threads'}`,
    config.environment.cpu,
  ].join(' · ');
}

/** What to know about a run that isn't complete. */
function notice({ run: { config, folder, results } }: ReportData): Html | undefined {
  if (results.state === 'complete') return undefined;
  const what = {
    running: 'This run was going on, or was killed, when the report was made',
    interrupted: 'This run was interrupted',
    failed: 'This run failed',
  }[results.state];
  const done = `${results.trials.length} of ${config.trials * config.seeds.length} trials are finished.`;
  return html`<p class="notice" role="note">${what}; ${done} ${results.error ?? ''} Go on with <code>fwp resume ${folder}</code></p>`;
}

function claimList(claims: readonly ClaimResult[]): Html {
  return html`<ul class="claims">
${claims.map(
  ({ text, pass, perSeed }) => html`<li>
<p class="claim">${verdict(pass)}<span>${text}</span></p>
${perSeed.length > 0 && observations(text, perSeed)}</li>
`,
)}</ul>
`;
}

function verdict(pass: boolean | null): Html {
  if (pass === null) return html`<span class="verdict">not measured</span>`;
  return pass ? html`<span class="verdict good">✓ holds</span>` : html`<span class="verdict bad">✗ fails</span>`;
}

function observations(claim: string, perSeed: ClaimResult['perSeed']): Html {
  const rows = perSeed.map(
    ({ seed, pass, observed }) => html`<tr><th scope="row">seed ${seed}</th>
<td class="${pass ? 'good' : 'bad'}">${pass ? '✓' : '✗'}<span hidden> ${pass ? 'holds' : 'fails'}</span></td><td>${observed}</td></tr>
`,
  );
  return html`<div class="observed">${scrolling(
    `Observed: ${claim}`,
    html`<table>
<thead><tr><th scope="col">seed</th><th scope="col">verdict</th><th scope="col">observed</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  )}</div>`;
}

function resultsTable(given: ComparisonTable): Html {
  const table = readable(given);
  const { cells, columnField, columnValues, decimals, rowField, rowValues } = table;
  const rows = rowValues.map((value, row) => {
    const columns = columnValues.map((_, column) => {
      const cell = cells[row]?.[column];
      const paper = cell === undefined ? undefined : publishedText(cell, decimals);
      const difference = cell?.difference === undefined ? '' : ` (${formatDifference(cell.difference, decimals)})`;
      return html`<td class="number">${oursText(cell, decimals)}${
        paper !== undefined && html`<span class="paper" title="${cell?.source}">${paper}${difference}</span>`
      }</td>`;
    });
    return html`<tr><th scope="row">${formatCell(value)}</th>${columns}</tr>\n`;
  });
  const caption = tableCaption(table, "below: the paper's number (and by how much ours differs)");
  return captioned(
    sentence(caption),
    html`<table class="results" aria-label="${caption}">
<thead>${tableHead(rowField, columnField, columnValues, table.metric)}</thead>
<tbody>
${rows}</tbody>
</table>`,
  );
}

/** Columns named by numbers have the field's name above them. */
function tableHead(
  rowField: string,
  columnField: string | undefined,
  columnValues: ComparisonTable['columnValues'],
  metric: string,
): Html {
  const numbers = columnField !== undefined && columnValues.every((value) => typeof value !== 'string');
  const names = columnValues.map((value) => {
    const name = numbers ? formatCell(value) : columnTitle(columnField, value, metric);
    return html`<th scope="col" class="number">${name}</th>`;
  });
  if (!numbers) return html`<tr><th scope="col">${rowField}</th>${names}</tr>`;
  return html`<tr><td class="group"></td><th scope="colgroup" class="number group" colspan="${columnValues.length}">${columnField}</th></tr>
<tr><th scope="col">${rowField}</th>${names}</tr>`;
}

/** Where the published numbers stand. */
function sources(tables: readonly ComparisonTable[]): Html | undefined {
  const cells = tables.flatMap((table) => table.cells.flat());
  const names = [...new Set(cells.flatMap((cell) => (cell?.source === undefined ? [] : [cell.source])))];
  return names.length === 0 ? undefined : html`<p class="facts">Published numbers: ${names.join('; ')}.</p>`;
}

/** Every trial with all that it measured, folded away. */
function allTrials({ keyFields, run: { results } }: ReportData): Html | undefined {
  const { rows, trials } = results;
  if (rows.length === 0) return undefined;
  const measured = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (field) => field !== 'seed' && !keyFields.includes(field),
  );
  const fields = [...keyFields, 'seed', ...measured];
  // What the runner counts, unless the trial measured something of that name.
  const counted = (['steps', 'seconds', 'parameters'] as const).filter((field) => !fields.includes(field));
  const body = rows.map((row, index) => {
    const cells = [...fields.map((field) => row[field]), ...counted.map((field) => trials[index]?.[field])];
    const [first, ...others] = cells.map(formatCell);
    return html`<tr><th scope="row">${first}</th>${others.map((text) => html`<td class="number">${text}</td>`)}</tr>\n`;
  });
  const [first, ...others] = [...fields, ...counted];
  const title = rows.length === 1 ? 'The trial' : `All ${rows.length} trials`;
  return html`<details><summary>${title}</summary>
${scrolling(
  title,
  html`<table class="results" aria-label="${title}">
<thead><tr><th scope="col">${first}</th>${others.map((field) => html`<th scope="col" class="number">${field}</th>`)}</tr></thead>
<tbody>
${body}</tbody>
</table>`,
)}</details>
`;
}

function artifactList(artifacts: readonly Artifact[]): Html | undefined {
  if (artifacts.length === 0) return undefined;
  const name = (path: string): string => path.replace(/^artifacts\//, '');
  const link = (path: string): string => path.split('/').map(encodeURIComponent).join('/');
  const pictures = artifacts.filter(({ picture }) => picture !== undefined);
  const others = artifacts.filter(({ picture }) => picture === undefined);
  return html`${
    pictures.length > 0 &&
    html`<div class="gallery">
${pictures.map(
  ({
    path,
    picture,
  }) => html`<figure><a href="${link(path)}"><img src="${picture}" alt="Picture of the trial: ${name(path)}"></a>
<figcaption>${name(path)}</figcaption></figure>
`,
)}</div>
`
  }${
    others.length > 0 &&
    html`<ul class="files">
${others.map(({ path, bytes }) => html`<li><a href="${link(path)}">${name(path)}</a> (${formatBytes(bytes)})</li>\n`)}</ul>
`
  }`;
}

function configuration({ run: { config } }: ReportData): Html {
  const overridden = new Set(config.overrides.map((override) => override.split('=')[0]));
  const entries = flattenSettings(config.config).map(([path, value]): [string, string] => [
    path,
    overridden.has(path) ? `${value} (--set)` : value,
  ]);
  return settingsTable(`All settings of preset ${config.preset}`, entries);
}

function environment({ run: { config } }: ReportData): Html {
  const { device, environment: machine } = config;
  const { revision } = machine;
  return settingsTable('What the run ran on and with', [
    ['device', `${device.name}${device.simd === '' ? '' : ` (${device.simd})`}, version ${device.version}`],
    ['threads', String(device.threads)],
    ...device.notes.map((note): [string, string] => ['note', note]),
    ['processor', `${machine.cpu}, ${machine.processors} logical processors`],
    ['memory', formatBytes(machine.memory)],
    ['platform', machine.platform],
    ['Node.js', machine.node],
    ...Object.entries(machine.packages).map(([name, version]): [string, string] => [name, version]),
    ['git revision', revision === null ? 'none' : `${revision.commit}${revision.modified ? ', with changes' : ''}`],
    ['seeds', config.seeds.join(', ')],
    ['started', readableDate(config.started)],
  ]);
}

function again({ run: { config } }: ReportData): Html {
  return html`<p>The same configuration and seeds give the same numbers on the same device, whatever the number of threads.</p>
<code class="command">${config.command}</code>
<p>The folder of this file has the complete data: <code>config.json</code>, <code>results.json</code> and
<code>metrics.jsonl</code>.</p>
`;
}

/** `'2026-11-23 10:02 UTC'`. */
function readableDate(iso: string): string {
  return iso.replace(/T(\d\d:\d\d).*$/, ' $1 UTC');
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
