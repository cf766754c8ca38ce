import { useEffect, useRef, useState } from 'preact/hooks';
import { type Address, changed, queryOf } from './address.ts';
import { ask, type Row, type Table } from './answers.ts';
import { html, Link, SeverityMark } from './html.ts';
import { age, dateText, shown, timeText, workloadText } from './texts.ts';

const chunk = 100;

/** So many chunks are kept: what is far away is read again. */
const mostChunks = 30;

/** Further rows than the window has, above and below. */
const margin = 12;

export interface ListProps {
  readonly table: Table;
  readonly address: Address;
  /** Changes whenever the rows may be others. */
  readonly generation: number;
  readonly now: number;
}

interface Window {
  readonly first: number;
  readonly last: number;
}

/** The rows that can be seen, by where the page has been scrolled to. */
function useWindow(total: number, height: number) {
  const list = useRef<HTMLDivElement>(null);
  const [window, setWindow] = useState<Window>({ first: 0, last: Math.min(total, 40) });
  useEffect(() => {
    const measure = (): void => {
      const top = -(list.current?.getBoundingClientRect().top ?? 0);
      const first = Math.max(0, Math.floor(top / height) - margin);
      const last = Math.min(total, Math.ceil((top + innerHeight) / height) + margin);
      setWindow((before) =>
        before.first === first && before.last === last ? before : { first, last: Math.max(first, last) },
      );
    };
    measure();
    addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    // Whatever is above the list may grow or shrink, too.
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => {
      removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
      observer.disconnect();
    };
  }, [total, height]);
  return { list, window };
}

/** The chunks of rows that the window needs. The first comes with the table. */
function useRows(
  { table, address, generation }: ListProps,
  { first, last }: Window,
): (index: number) => Row | undefined {
  const chunks = useRef(new Map<number, readonly Row[]>());
  const [, redraw] = useState(0);
  const asked = String(queryOf(address));
  useEffect(() => {
    chunks.current = new Map([[0, table.items]]);
    redraw((count) => count + 1);
  }, [table]);
  useEffect(() => {
    const stopping = new AbortController();
    const wanted: number[] = [];
    for (let at = Math.floor(first / chunk); at * chunk < last; at += 1)
      if (at > 0 && !chunks.current.has(at)) wanted.push(at);
    const read = async (at: number): Promise<void> => {
      const query = queryOf(address, { offset: String(at * chunk), limit: String(chunk), top: '1' });
      const { items } = await ask<Table>('/observations/table', query, stopping.signal);
      chunks.current.set(at, items);
      for (const key of chunks.current.keys()) {
        if (chunks.current.size <= mostChunks) break;
        if (key !== at && key !== 0) chunks.current.delete(key);
      }
      redraw((count) => count + 1);
    };
    // Who drags the scroll bar passes many.
    const timer = setTimeout(() => {
      for (const at of wanted) read(at).catch(() => undefined);
    }, 40);
    return () => {
      clearTimeout(timer);
      stopping.abort();
    };
  }, [first, last, asked, generation, table]);
  return (index) =>
    Math.floor(index / chunk) === 0
      ? table.items[index]
      : chunks.current.get(Math.floor(index / chunk))?.[index % chunk];
}

/** Until when it is accepted; empty if it isn't. */
function untilText({ acceptedUntil }: Row, now: number): string {
  if (acceptedUntil === null) return 'for ever';
  return acceptedUntil > now ? dateText(acceptedUntil) : '';
}

function stateText(row: Row, now: number): string {
  const until = untilText(row, now);
  if (until !== '') return `accepted ${acceptedFor(until)}${row.exception === '' ? '' : ` by ${row.exception}`}`;
  if (row.state === 'missing') return 'no longer reported';
  return row.state === 'open' ? '' : row.state;
}

function acceptedFor(until: string): string {
  return until === 'for ever' ? until : `until ${until}`;
}

/** What the last two columns show: in the view of what is accepted, why and until when; of what is gone, since when. */
function endOf(row: Row, view: string | undefined, now: number) {
  const [about, time] =
    view === 'accepted'
      ? [html`<bdi>${shown(row.reason)}</bdi><small>${shown(row.exception)}</small>`, untilText(row, now)]
      : [html`<bdi>${shown(row.rule)}</bdi><small>${shown(row.source)}</small>`, ''];
  const at = view === 'gone' ? row.changedAt : row.createdAt;
  const when = time === '' ? html`<time title=${timeText(at)}>${age(at, now)}</time>` : time;
  const state = view === 'accepted' ? '' : stateText(row, now);
  // A phone has room for it in a line of its own only.
  const line = view === 'accepted' ? [acceptedFor(time), row.reason].filter(Boolean).join(': ') : state;
  return { about, when, state, line };
}

const headings: Readonly<Record<string, readonly [about: string, when: string]>> = {
  accepted: ['Reason', 'Until'],
  gone: ['Rule', 'Gone since'],
};

/** What was found. Where the rule has a column of its own, only whoever can't see that is told it here. */
function Summary({ row: { summary, rule, name } }: { readonly row: Row }) {
  const text = summary || rule || name;
  const join =
    rule !== '' && text.startsWith(rule)
      ? /^(?::|,| in| -)? +(?:\([^()]*\): +)?(?=[^(])/.exec(text.slice(rule.length))
      : null;
  if (!join) return html`<bdi>${shown(text)}</bdi>`;
  const at = rule.length + join[0].length;
  return html`<bdi><span class="lead">${shown(text.slice(0, at))}</span>${shown(text.slice(at))}</bdi>`;
}

interface RowProps {
  readonly row: Row | undefined;
  readonly index: number;
  readonly address: Address;
  readonly now: number;
}

function Line({ row, index, address, now }: RowProps) {
  if (!row)
    return html`<div class="row" role="row" aria-rowindex=${index + 2}><span role="cell" class="loading">…</span></div>`;
  const key = `${row.namespace}/${row.name}`;
  const isOpen = address.finding === key;
  const { kind } = row.resource ?? {};
  const { about, when, state, line } = endOf(row, address.view, now);
  const where = row.workload === '' ? row.namespace : workloadText(row.workload);
  return html`<div class=${`row sev-${row.severity} ${line ? 'has-line' : ''}`} role="row" aria-rowindex=${index + 2}>
    <span role="cell" class="severity"><${SeverityMark} severity=${row.severity} /></span>
    <span role="cell" class="what"><${Link} to=${changed(address, { finding: key })} aria-current=${isOpen ? 'true' : undefined}
        data-row=${index}><${Summary} row=${row} /><//>
      <small><bdi>${shown(where)}</bdi>${kind && !where.includes(kind) && ` · ${shown(kind)}`}${row.actor && html` · by <bdi>${shown(row.actor)}</bdi>`}</small>
      ${line && html`<small class="line"><bdi>${shown(line)}</bdi></small>`}</span>
    <span role="cell" class="rule">${about}</span>
    <span role="cell" class="when">${when}
      ${state && html`<small class="state"><bdi>${shown(state)}</bdi></small>`}</span>
  </div>`;
}

export function List(props: ListProps) {
  const { table, address, now } = props;
  const height = matchMedia('(max-width: 640px)').matches ? 92 : 60;
  const { list, window } = useWindow(table.total, height);
  const rowAt = useRows(props, window);
  const [about, when] = headings[address.view ?? ''] ?? ['Rule', 'Age'];
  const last = Math.min(window.last, table.total);
  const indexes = Array.from({ length: Math.max(0, last - window.first) }, (_, at) => window.first + at);
  return html`<div class="list" role="table" aria-label="Findings" aria-rowcount=${table.total + 1} aria-colcount="4">
    <div role="row" class="head" aria-rowindex="1">
      <span role="columnheader">Severity</span><span role="columnheader">Finding</span>
      <span role="columnheader">${about}</span><span role="columnheader">${when}</span>
    </div>
    <div class="rows" role="rowgroup" ref=${list} style=${{ height: `${table.total * height}px` }}>
      <div class="shown" role="presentation" style=${{ transform: `translateY(${window.first * height}px)` }}>
        ${indexes.map((index) => html`<${Line} key=${index} row=${rowAt(index)} index=${index} address=${address} now=${now} />`)}
      </div>
    </div>
  </div>`;
}
