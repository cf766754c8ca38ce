import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type Address, changed, go, isNarrowed, queryOf, start, useAddress } from './address.ts';
import type { Fault, Table } from './answers.ts';
import { Chips } from './chips.ts';
import { Facets } from './facets.ts';
import { Finding, useFinding } from './finding.ts';
import { Focus } from './focus.ts';
import { Bar, html, Link } from './html.ts';
import { useKeyboard } from './keyboard.ts';
import { List } from './list.ts';
import { isAway, type Live, useTable } from './live.ts';
import { Nothing, Problem, UnknownParameter } from './problem.ts';
import { SearchField } from './search-field.ts';
import { number, shown, sum } from './texts.ts';
import { useTitle } from './title.ts';
import { sorts, views } from './words.ts';

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
    <span class="exports"><span class="save">Save as </span><a href=${exported('csv')} download="observations.csv">CSV</a> <a href=${exported('json')} download="observations.json">JSON</a></span>
  </div>`;
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

function Status({ table, isLive, fault }: Pick<Live, 'table' | 'isLive' | 'fault'>) {
  // While nothing has been read, there is nothing to keep up to date.
  const isOn = isLive && (table ?? fault) !== undefined && !isAway(fault);
  const text = isOn ? 'Live' : fault ? 'Not connected' : 'Connecting';
  return html`<p class=${`status ${isOn ? 'on' : 'off'}`} role="status"><span aria-hidden="true"></span>${text}</p>`;
}

/** What was chosen, while there is no answer to it. */
function Awaited({ address, fault }: { readonly address: Address; readonly fault: Fault | undefined }) {
  return html`<main id="findings" tabindex="-1" class="awaiting">
    <${Chips} address=${address} />
    ${
      fault
        ? html`<div class="nothing"><h2>The server cannot be reached</h2><p>What you chose shows as soon as it answers: leave the page open.</p></div>`
        : html`<p class="nothing">Loading…</p>`
    }
  </main>`;
}

function Main({
  table,
  address,
  tableAddress,
  generation,
  now,
  isWide,
}: {
  readonly table: Table;
  readonly address: Address;
  /** What the table was read for. */
  readonly tableAddress: Address;
  readonly generation: number;
  readonly now: number;
  readonly isWide: boolean;
}) {
  return html`<main id="findings" tabindex="-1">
    <${Focus} table=${table} address=${tableAddress} isWide=${isWide} />
    <${Chips} address=${address} />
    <${Heading} table=${table} address=${address} />
    ${table.total === 0 ? html`<${Nothing} table=${table} address=${address} isNarrowed=${isNarrowed(address)} />` : html`<${List} table=${table} address=${tableAddress} generation=${generation} now=${now} />`}
  </main>`;
}

function Page() {
  const address = useAddress();
  const [top, setTop] = useState(9);
  const { table, tableAddress, isAwaited, fault, isLive, generation } = useTable(address, top);
  const now = useNow(generation);
  const isWide = useWide('(min-width: 960px)');
  const hasOne = address.finding !== undefined;
  const found = useFinding(address.finding, generation);
  useTitle(address, isAwaited || address.unknown !== undefined ? undefined : table, found);
  useKeyboard(address);
  return html`
    <a class="skip" href="#findings">Skip to the findings</a>
    <header><h1><${Link} to=${start}>zen-watcher<//></h1>${table && html`<${SearchField} address=${address} />`}<${Status} table=${table} isLive=${isLive} fault=${fault} /></header>
    ${fault && table && html`<p class="notice away" role="alert">The server cannot be reached${isAwaited ? '.' : ': this is what was read last.'}</p>`}
    ${table?.problems.map((line) => html`<p class="notice" role="alert" key=${line}>Not read, so what was read last holds: <bdi>${shown(line)}</bdi></p>`)}
    ${table && html`<${Views} table=${table} address=${address} />`}
    <div class=${`columns ${hasOne ? 'with-one' : ''}`}>
      ${
        table &&
        address.unknown === undefined &&
        html`<${Facets} table=${table} address=${address} isWide=${isWide} onMore=${() => setTop(50)} />
        ${
          isAwaited
            ? html`<${Awaited} address=${address} fault=${fault} />`
            : html`<${Main} table=${table} address=${address} tableAddress=${tableAddress} generation=${generation} now=${now} isWide=${isWide} />`
        }`
      }
      ${address.unknown !== undefined && html`<${UnknownParameter} name=${address.unknown} address=${address} />`}
      ${!table && address.unknown === undefined && (fault ? html`<main id="findings" tabindex="-1"><${Problem} fault=${fault} address=${address} /></main>` : html`<main id="findings" tabindex="-1"><p class="nothing">Loading…</p></main>`)}
      ${hasOne && table && html`<${Finding} address=${address} found=${found} now=${now} />`}
    </div>`;
}

const root = document.getElementById('page');
if (root) render(html`<${Page} />`, root);
