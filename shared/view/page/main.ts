import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Address, changed, filterNames, go, queryOf, useAddress } from './address.ts';
import type { Fault, Table } from './answers.ts';
import { Facets } from './facets.ts';
import { Finding } from './finding.ts';
import { Focus } from './focus.ts';
import { Bar, html, Link } from './html.ts';
import { List } from './list.ts';
import { useTable } from './live.ts';
import { number, shown, sum } from './texts.ts';

const views = [
  ['open', 'Open', 'What is wrong now'],
  ['new', 'New', 'First seen in the last day'],
  ['gone', 'Gone', 'Went away in the last day'],
  ['accepted', 'Accepted', 'Accepted for now'],
  ['all', 'All', 'Everything stored'],
] as const;

const words: Readonly<Record<string, string>> = {
  severity: 'Severity',
  source: 'Source',
  namespace: 'Namespace',
  workload: 'Workload',
  rule: 'Rule',
  kind: 'Kind',
  actor: 'User',
  image: 'Image',
  fix: 'Fix',
  category: 'Category',
  eventType: 'Type',
  fixable: 'Can be fixed',
  search: 'Text',
};

function Views({ table, address }: { readonly table: Table; readonly address: Address }) {
  const chosen = address.view ?? 'open';
  const most = Math.max(...views.map(([name]) => sum(table.views[name] ?? [])));
  return html`<nav class="views" aria-label="Views"><ul>${views.map(([name, title, hint]) => {
    const counts = table.views[name] ?? [];
    const to = changed(address, { view: name === 'open' ? undefined : name, finding: undefined });
    return html`<li key=${name}><${Link} to=${to} aria-current=${name === chosen ? 'page' : undefined}>
      <span class="title">${title}</span><strong>${number.format(sum(counts))}</strong>
      <${Bar} counts=${counts} of=${most} /><small>${hint}</small><//></li>`;
  })}</ul></nav>`;
}

/**
 * What is typed is in the address at once, and shown from there: there is no second copy that could be older. A search is one
 * entry of the history, so that "back" leaves it.
 */
function Search({ address }: { readonly address: Address }) {
  const field = useRef<HTMLInputElement>(null);
  const given = address.search ?? '';
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  const onInput = (event: Event): void => {
    if (!(event.target instanceof HTMLInputElement)) return;
    const { value } = event.target;
    const search = value.trim() === '' ? undefined : value;
    go(changed(address, { search, finding: undefined }), given !== '');
  };
  return html`<search class="search"><label class="hidden" for="search">Search in findings</label>
    <input id="search" ref=${field} type="search" value=${given} onInput=${onInput} maxlength="200" autocomplete="off" spellcheck=${false}
      placeholder="Search findings" /><kbd aria-hidden="true">Ctrl K</kbd></search>`;
}

function Chips({ address }: { readonly address: Address }) {
  const set = filterNames.filter((name) => address[name] !== undefined);
  if (set.length === 0) return null;
  const none = Object.fromEntries(set.map((name) => [name, undefined]));
  return html`<ul class="chips" aria-label="Active filters">${set.map(
    (name) => html`<li key=${name}><${Link} to=${changed(address, { [name]: undefined, finding: undefined })}>
      <span class="hidden">Remove filter: </span><span class="name">${words[name]}</span>
      ${name !== 'fixable' && html`<bdi>${shown(address[name])}</bdi>`}<span aria-hidden="true" class="x">✕</span><//></li>`,
  )}${set.length > 1 && html`<li><${Link} class="clear" to=${changed(address, { ...none, finding: undefined })}>Clear all<//></li>`}</ul>`;
}

const sorts = [
  ['severity', 'Worst first'],
  ['age', 'Newest first'],
  ['namespace', 'By namespace'],
] as const;

function Heading({ table, address }: { readonly table: Table; readonly address: Address }) {
  const sort = address.sort ?? 'severity';
  const onSort = (event: Event): void => {
    if (!(event.target instanceof HTMLSelectElement)) return;
    const { value } = event.target;
    go(changed(address, { sort: value === 'severity' ? undefined : value }));
  };
  const exported = (format: string): string =>
    `/observations/export?${queryOf(address, { view: address.view ?? 'open', format })}`;
  return html`<div class="heading">
    <h2 aria-live="polite"><strong>${number.format(table.total)}</strong> ${table.total === 1 ? 'finding' : 'findings'}
      ${!table.isComplete && html`<small>loading, ${number.format(table.read)} so far</small>`}</h2>
    <label><span class="hidden">Order</span><select onChange=${onSort}>${sorts.map(
      ([value, text]) => html`<option value=${value} selected=${value === sort}>${text}</option>`,
    )}</select></label>
    <span class="exports">Save as <a href=${exported('csv')} download="observations.csv">CSV</a> <a href=${exported('json')} download="observations.json">JSON</a></span>
  </div>`;
}

function Nothing({ table, address }: { readonly table: Table; readonly address: Address }) {
  if (!table.isComplete) return html`<p class="nothing">Loading…</p>`;
  const isNarrowed = filterNames.some((name) => address[name] !== undefined);
  if (isNarrowed) {
    return html`<div class="nothing"><h3>Nothing matches</h3><p>Remove a filter, or look at${' '}
      <${Link} to=${changed(address, { view: 'all' })}>everything stored<//>.</p></div>`;
  }
  const view = address.view ?? 'open';
  if (view !== 'open')
    return html`<div class="nothing"><h3>Nothing here</h3><p>${views.find(([name]) => name === view)?.[2]}: there is none.</p></div>`;
  return html`<div class="nothing"><h3>No open findings</h3>
    <p>What a tool reports shows up here within a second. No scan at hand? <code>npm start -- --samples</code> plays some.</p></div>`;
}

/** Why there is nothing to see, and what to do about it. */
function Problem({ fault, address }: { readonly fault: Fault; readonly address: Address }) {
  const [namespace, setNamespace] = useState('');
  if (fault.status === 401) {
    const how = document.querySelector<HTMLMetaElement>('meta[name="sign-in"]')?.content;
    return html`<div class="nothing"><h2>Sign in first</h2><p>${how}</p><p>The answer was: ${shown(fault.message)}.</p></div>`;
  }
  if (fault.status === 403 && fault.path === 'namespace') {
    const onSubmit = (event: Event): void => {
      event.preventDefault();
      if (namespace.trim() !== '') go(changed(address, { namespace: namespace.trim(), finding: undefined }));
    };
    return html`<div class="nothing"><h2>Which namespace?</h2>
      <p>${address.namespace === undefined ? 'You may not see the findings of the whole cluster, but perhaps those of a namespace.' : html`You may not see the findings in <b>${shown(address.namespace)}</b>.`}</p>
      <form onSubmit=${onSubmit}><label>Namespace <input type="text" name="namespace" value=${namespace} autocomplete="off"
        onInput=${(event: Event) => event.target instanceof HTMLInputElement && setNamespace(event.target.value)} /></label>
        <button class="main">Show it</button></form></div>`;
  }
  return html`<div class="nothing"><h2>${fault.status === 0 ? 'The server can not be reached' : 'This can not be shown'}</h2>
    <p>${fault.status === 0 ? 'It is asked again and again: leave the page open.' : shown([fault.message, fault.path].filter(Boolean).join(': '))}</p></div>`;
}

function useWide(query: string): boolean {
  const [isWide, setIsWide] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const onChange = (): void => setIsWide(list.matches);
    list.addEventListener('change', onChange);
    return () => list.removeEventListener('change', onChange);
  }, [query]);
  return isWide;
}

/** Ages grow by themselves. */
function useNow(generation: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, [generation]);
  return now;
}

function Status({ isLive, fault }: { readonly isLive: boolean; readonly fault: Fault | undefined }) {
  const text = isLive && !fault ? 'Live' : fault ? 'Not connected' : 'Connecting';
  return html`<p class=${`status ${isLive && !fault ? 'on' : 'off'}`} role="status"><span aria-hidden="true"></span>${text}</p>`;
}

function Main({
  table,
  address,
  tableAddress,
  generation,
  now,
}: {
  readonly table: Table;
  readonly address: Address;
  /** What the table was read for. */
  readonly tableAddress: Address;
  readonly generation: number;
  readonly now: number;
}) {
  return html`<main id="findings" tabindex="-1">
    <${Focus} table=${table} address=${tableAddress} />
    <${Chips} address=${address} />
    <${Heading} table=${table} address=${address} />
    ${table.total === 0 ? html`<${Nothing} table=${table} address=${address} />` : html`<${List} table=${table} address=${address} generation=${generation} now=${now} />`}
  </main>`;
}

function Page() {
  const address = useAddress();
  const [top, setTop] = useState(9);
  const { table, tableAddress, fault, isLive, generation } = useTable(address, top);
  const now = useNow(generation);
  const isWide = useWide('(min-width: 960px)');
  const hasOne = address.finding !== undefined;
  useEffect(() => {
    const count = sum(table?.views.open ?? []);
    document.title = table ? `${number.format(count)} open, zen-watcher` : 'zen-watcher';
  }, [table]);
  return html`
    <a class="skip" href="#findings">Skip to the findings</a>
    <header><h1><${Link} to=${{}}>zen-watcher<//></h1>${table && html`<${Search} address=${address} />`}<${Status} isLive=${isLive} fault=${fault} /></header>
    ${fault && table && html`<p class="notice" role="alert">The server can not be reached: this is what was read last.</p>`}
    ${table && html`<${Views} table=${table} address=${address} />`}
    <div class=${`columns ${hasOne ? 'with-one' : ''}`}>
      ${
        table &&
        html`<${Facets} table=${table} address=${address} isWide=${isWide} onMore=${() => setTop(50)} />
        <${Main} table=${table} address=${address} tableAddress=${tableAddress} generation=${generation} now=${now} />`
      }
      ${!table && (fault ? html`<main id="findings" tabindex="-1"><${Problem} fault=${fault} address=${address} /></main>` : html`<main id="findings" tabindex="-1"><p class="nothing">Loading…</p></main>`)}
      ${hasOne && table && html`<${Finding} address=${address} generation=${generation} now=${now} />`}
    </div>`;
}

const root = document.getElementById('page');
if (root) render(html`<${Page} />`, root);
