/**
 * The look of reports, on screens of any width, light or dark, and on paper. Charts use `--series-1` … `--series-8`: a
 * palette that colour-blind readers can tell apart (after Okabe and Ito), darker on white and lighter on black.
 */
export const STYLE: string = `
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1c1d1f; --muted: #5c6167; --line: #dcdee1; --soft: #f5f6f7; --link: #0b5cad;
  --good: #0a6b45; --good-soft: #e4f4ec; --bad: #a8231b; --bad-soft: #fbe9e7;
  --series-1: #0068a8; --series-2: #c65100; --series-3: #007f5f; --series-4: #a8397f;
  --series-5: #9a7300; --series-6: #3f93cf; --series-7: #5f5f66; --series-8: #7a4a2b;
  --serif: Charter, 'Bitstream Charter', 'Sitka Text', Cambria, Georgia, serif;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif;
  --mono: ui-monospace, 'Cascadia Code', 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --text: #e6e7e9; --muted: #a0a6ad; --line: #34383d; --soft: #1e2125; --link: #7ab8f5;
    --good: #63d3a0; --good-soft: #16301f; --bad: #ff8f85; --bad-soft: #3a1d1b;
    --series-1: #5aaee8; --series-2: #f08a45; --series-3: #3fc79c; --series-4: #e08cc0;
    --series-5: #e3bd45; --series-6: #9cd0f5; --series-7: #b9bcc2; --series-8: #c99673;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text); font: 17px/1.6 var(--serif); }
main { max-width: 50rem; margin: 0 auto; padding: 3.5rem 1.5rem 4rem; }
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; }
h1 { font-size: 2.1rem; margin: 0.4rem 0 1rem; letter-spacing: -0.01em; }
h2 { font-size: 1.35rem; margin: 3.5rem 0 1rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 0.5rem; }
p { margin: 0 0 1rem; max-width: 42rem; }
a { color: var(--link); text-underline-offset: 0.15em; text-decoration-thickness: 1px; }
.eyebrow, .facts, footer, figcaption, table, .legend, .panel-title, .verdict, .notice, dl { font-family: var(--sans); }
.eyebrow { color: var(--muted); font-size: 0.85rem; margin: 0; overflow-wrap: anywhere; }
.headline { font: 600 1.25rem/1.4 var(--sans); margin: 1.5rem 0 0.25rem; display: flex; gap: 0.6rem; align-items: baseline; }
.headline.good { color: var(--good); }
.headline.bad { color: var(--bad); }
.facts { color: var(--muted); font-size: 0.9rem; }
.citation { color: var(--muted); }
.notice { border-left: 3px solid var(--bad); background: var(--bad-soft); padding: 0.75rem 1rem; font-size: 0.95rem; margin: 1.5rem 0; max-width: none; }
.notice code, .command { font-family: var(--mono); }
.claims { list-style: none; margin: 0; padding: 0; }
.claims > li { padding: 1.1rem 0; border-top: 1px solid var(--line); break-inside: avoid; }
.claims > li:last-child { border-bottom: 1px solid var(--line); }
.claim { display: flex; flex-wrap: wrap; gap: 0.3rem 0.8rem; align-items: baseline; margin: 0 0 0.3rem; max-width: none; }
.claim > span:last-child { flex: 1 1 20rem; }
.verdict { font-size: 0.8rem; font-weight: 600; padding: 0.12rem 0.6rem; border-radius: 1rem; white-space: nowrap; background: var(--soft); color: var(--muted); }
.verdict.good { background: var(--good-soft); color: var(--good); }
.verdict.bad { background: var(--bad-soft); color: var(--bad); }
.scroll { overflow-x: auto; margin: 0 0 1rem; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.45; font-variant-numeric: tabular-nums lining-nums; }
.caption { font: 0.88rem/1.45 var(--sans); color: var(--muted); margin: 0 0 0.6rem; }
th, td { padding: 0.45rem 0.9rem; text-align: left; vertical-align: baseline; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-weight: 600; white-space: nowrap; }
thead tr:last-child th { border-bottom-color: var(--muted); }
thead .group { border: 0; padding-bottom: 0; color: var(--muted); font-weight: 500; }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.observed .scroll { margin: 0; }
.observed table { font-size: 0.85rem; }
.observed th { white-space: nowrap; }
.observed th, .observed td { border: 0; padding-top: 0.1rem; padding-bottom: 0.1rem; color: var(--muted); }
.observed thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.observed .bad { color: var(--bad); }
.observed .good { color: var(--good); }
.results { width: 100%; }
.results th:first-child, .results .group:first-child { position: sticky; left: 0; background: var(--page); }
.results tbody tr:hover > * { background: var(--soft); }
.paper { display: block; color: var(--muted); font-size: 0.92em; }
figure { margin: 2rem 0 2.5rem; break-inside: avoid; }
figcaption { font-size: 0.95rem; font-weight: 600; margin: 0 0 0.5rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1.25rem 1.5rem; }
.panel { min-width: 0; break-inside: avoid; }
.panel-title { font-size: 0.85rem; color: var(--muted); margin: 0; }
details { margin-top: 1.25rem; }
summary { font-family: var(--sans); font-size: 0.88rem; color: var(--link); cursor: pointer; margin-bottom: 1rem; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; font-family: var(--sans); }
.chart .narrow { display: none; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0 0 0.75rem; padding: 0; font-size: 0.85rem; color: var(--muted); }
.legend li { display: inline-flex; align-items: center; gap: 0.45rem; white-space: nowrap; }
.chart .legend svg { width: 28px; height: 12px; flex: none; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)); gap: 1.5rem; }
.gallery figure { margin: 0; }
.gallery img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); }
.gallery figcaption { font-weight: 400; font-size: 0.8rem; color: var(--muted); margin: 0.4rem 0 0; overflow-wrap: anywhere; }
.settings th { font-weight: 500; color: var(--muted); white-space: nowrap; }
.settings td { overflow-wrap: anywhere; }
.settings th, .settings td { padding-top: 0.3rem; padding-bottom: 0.3rem; }
.command { display: block; background: var(--soft); border-radius: 0.4rem; padding: 0.8rem 1rem; margin: 0 0 1rem; font-size: 0.85rem; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere; }
.files { font-family: var(--sans); font-size: 0.9rem; columns: 16rem; padding-left: 1.1rem; }
.files li { overflow-wrap: anywhere; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--muted); font-size: 0.82rem; }
@media screen and (max-width: 36rem) {
  body { font-size: 16px; }
  main { padding: 1.75rem 1.1rem 3rem; }
  h1 { font-size: 1.6rem; }
  h2 { font-size: 1.2rem; margin-top: 2.5rem; }
  th, td { padding: 0.45rem 0.6rem; }
  .chart .wide { display: none; }
  .chart .narrow { display: block; }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --text: #000; --muted: #44484d; --line: #c9ccd0; --soft: #f4f5f6; --link: #000;
    --good: #0a6b45; --good-soft: #fff; --bad: #a8231b; --bad-soft: #fff;
    --series-1: #0068a8; --series-2: #c65100; --series-3: #007f5f; --series-4: #a8397f;
    --series-5: #9a7300; --series-6: #3f93cf; --series-7: #5f5f66; --series-8: #7a4a2b;
  }
  @page { margin: 18mm 16mm; }
  body { font-size: 10.5pt; line-height: 1.45; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 20pt; }
  h2 { font-size: 13pt; margin-top: 1.8rem; break-after: avoid; }
  .verdict { border: 1px solid currentColor; }
  .scroll { overflow: visible; }
  .command { border: 1px solid var(--line); }
  .citation a[href^='http']::after { content: ' (' attr(href) ')'; font-size: 0.9em; }
  tr { break-inside: avoid; }
  thead:not([hidden]) { display: table-header-group; }
  .caption { break-after: avoid; }
}
`.trim();
