import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Facet } from '../facets.ts';
import { changeTime, stateSince } from '../state-since.ts';
import { yamlDocument } from '../yaml-text.ts';
import { Accept, acceptanceOf } from './accept.ts';
import { type Address, start } from './address.ts';
import { ask, Fault, type Observation, type Resource } from './answers.ts';
import { html, Link, SeverityMark } from './html.ts';
import { closeFinding } from './keyboard.ts';
import { age, dateText, isWebAddress, number, resourceText, shown, timeText } from './texts.ts';

const prefix = 'zen.kube-zen.io/';

interface Change {
  readonly time?: string | number;
  readonly state?: string;
  readonly severity?: string;
  readonly reason?: string;
}

/** The changes that the annotation lists, newest first; none if it can't be read. */
function historyOf({ metadata }: Observation): readonly Change[] {
  try {
    const read: unknown = JSON.parse(metadata.annotations?.[`${prefix}history`] ?? '[]');
    return Array.isArray(read) ? read.filter((one) => typeof one === 'object' && one !== null) : [];
  } catch {
    return [];
  }
}

function Fact({ name, children }: { readonly name: string; readonly children?: ComponentChildren }) {
  return children ? html`<dt>${name}</dt><dd>${children}</dd>` : null;
}

function When({ time, now }: { readonly time: string | number | undefined; readonly now: number }) {
  const at = typeof time === 'number' ? time : Date.parse(time ?? '');
  const text = timeText(at);
  return text === '' ? null : html`<time>${text}</time> <span class="ago">${age(at, now)} ago</span>`;
}

/** A value of the details: what is nested stands below its name. */
function Value({ value }: { readonly value: unknown }) {
  if (Array.isArray(value)) return html`<ul>${value.map((item) => html`<li><${Value} value=${item} /></li>`)}</ul>`;
  if (typeof value === 'object' && value !== null) return html`<${Details} details=${value} />`;
  return html`<bdi class="text">${shown(value)}</bdi>`;
}

function Details({ details }: { readonly details: object }) {
  return html`<dl class="details">${Object.entries(details).map(
    ([name, value]) => html`<dt><bdi>${shown(name)}</bdi></dt><dd><${Value} value=${value} /></dd>`,
  )}</dl>`;
}

function References({ references }: { readonly references: readonly string[] }) {
  if (references.length === 0) return null;
  return html`<section><h3>References</h3><ul class="references">${references.map((text) =>
    isWebAddress(text)
      ? html`<li><a href=${text} rel="noopener noreferrer" target="_blank"><bdi>${shown(text)}</bdi></a></li>`
      : html`<li><bdi>${shown(text)}</bdi></li>`,
  )}</ul></section>`;
}

function Actor({
  actor,
  address,
}: {
  readonly actor: NonNullable<Observation['spec']['actor']>;
  readonly address: Address;
}) {
  const { username, groups = [], sourceIP, userAgent, via } = actor;
  const rest = [
    groups.join(', '),
    sourceIP && `from ${sourceIP}`,
    via && `by way of ${via}`,
    userAgent && `with ${userAgent}`,
  ];
  return html`<${Fact} name="User"><${Link} to=${{ facets: { actor: [username] }, view: 'all', finding: address.finding }}
      ><bdi>${shown(username)}</bdi><//> <span class="ago"><bdi>${shown(rest.filter(Boolean).join(', '))}</bdi></span><//>`;
}

function Acceptance({ found, now }: { readonly found: Observation; readonly now: number }) {
  const acceptance = acceptanceOf(found, now);
  if (!acceptance) return null;
  const { until, reason } = acceptance;
  const exception = found.metadata.annotations?.[`${prefix}exception`];
  const by = found.metadata.annotations?.[`${prefix}accepted-by`];
  return html`<${Fact} name="Accepted">${Number.isFinite(until) ? `until ${dateText(until)}` : 'for ever'}<//>
    <${Fact} name="Reason">${reason && html`<bdi class="text">${shown(reason)}</bdi>`}<//>
    <${Fact} name="Approved by">${by && html`<bdi>${shown(by)}</bdi>`}<//>
    <${Fact} name="Exception">${exception && html`<bdi>${shown(exception)}</bdi>`}<//>`;
}

/** What the server finds a resource by, and others of the same workload. */
function placeOf({ kind, name, namespace }: Resource): string {
  // What has no name goes by its kind as it is written: see shared/view/workload-word.ts.
  return [namespace, name ? kind.toLowerCase() : kind, name ?? ''].filter((part) => part !== undefined).join('/');
}

interface FactsProps {
  readonly found: Observation;
  readonly address: Address;
  readonly now: number;
}

function Facts({ found, address, now }: FactsProps) {
  const { metadata, spec, status } = found;
  const { resource, rule, actor, source, category, eventType } = spec;
  const { [`${prefix}state`]: state, [`${prefix}since`]: since } = metadata.labels ?? {};
  const only = (name: Facet, value: string): Address => ({
    facets: { [name]: [value] },
    view: 'all',
    finding: address.finding,
  });
  const openSince = stateSince(state ?? '', historyOf(found), {
    created: Date.parse(metadata.creationTimestamp ?? ''),
    since: Number(since),
  });
  const image = typeof spec.details?.image === 'string' ? spec.details.image.split('\n').filter(Boolean) : [];
  return html`<dl class="facts">
    <${Fact} name="State">${state ? html`${state === 'missing' ? 'no longer reported' : shown(state)} <span class="ago">since <${When} time=${openSince} now=${now} /></span>` : 'event'}<//>
    <${Acceptance} found=${found} now=${now} />
    <${Fact} name="Where">${resource && html`<${Link} to=${only('workload', placeOf(resource))}><bdi>${shown(resourceText(resource))}</bdi><//>`}<//>
    ${actor && html`<${Actor} actor=${actor} address=${address} />`}
    <${Fact} name="Rule">${rule && html`<${Link} to=${only('rule', rule)}><bdi>${shown(rule)}</bdi><//>`}<//>
    <${Fact} name="Image">${image.length > 0 && image.map((one) => html`<${Link} to=${only('image', one)}><bdi>${shown(one)}</bdi><//> `)}<//>
    <${Fact} name="Source"><bdi>${shown(source)}</bdi> <span class="ago"><bdi>${shown(`${category}, ${eventType}`)}</bdi></span><//>
    <${Fact} name="Detected"><${When} time=${spec.detectedAt ?? metadata.creationTimestamp} now=${now} /><//>
    <${Fact} name="Repeated">${status?.series && html`${number.format(status.series.count)} times, last <${When} time=${status.series.lastObservedTime} now=${now} />`}<//>
  </dl>`;
}

function History({ found, now }: { readonly found: Observation; readonly now: number }) {
  const changes = historyOf(found);
  const created = found.metadata.creationTimestamp;
  const seen = found.status?.series?.seen ?? [];
  return html`<section><h3>History</h3><ol class="history">
    ${changes.map(
      ({ time, state, severity, reason }) => html`<li><${When} time=${changeTime(time)} now=${now} />
        <bdi>${shown([state, severity, reason].filter(Boolean).join(', '))}</bdi></li>`,
    )}
    ${created && html`<li><${When} time=${created} now=${now} /><bdi>stored</bdi></li>`}
  </ol>${seen.length > 0 && html`<p class="ago">Repeats were about <bdi>${shown(seen.join(', '))}</bdi></p>`}</section>`;
}

/** Reads one, and again whenever something has changed. */
export function useFinding(key: string | undefined, generation: number): Observation | Fault | undefined {
  const [found, setFound] = useState<{ key: string; value: Observation | Fault }>();
  useEffect(() => {
    if (key === undefined) return;
    const stopping = new AbortController();
    const slash = key.indexOf('/');
    const query = new URLSearchParams({ namespace: key.slice(0, slash), name: key.slice(slash + 1) });
    ask<Observation>('/observations/one', query, stopping.signal).then(
      (value) => setFound({ key, value }),
      (error) => {
        if (!stopping.signal.aborted)
          setFound({ key, value: error instanceof Fault ? error : new Fault(0, String(error)) });
      },
    );
    return () => stopping.abort();
  }, [key, generation]);
  return found !== undefined && found.key === key ? found.value : undefined;
}

export interface FindingProps {
  readonly address: Address;
  readonly found: Observation | Fault | undefined;
  readonly now: number;
}

function Body({ found, address, now }: FactsProps) {
  const { spec, metadata } = found;
  return html`<${SeverityMark} severity=${spec.severity} />
    <h2 id="finding" tabindex="-1"><bdi>${shown(spec.summary || spec.rule || metadata.name)}</bdi></h2>
    <${Accept} found=${found} />
    ${spec.remediation && html`<section class="advice"><h3>What to do</h3><p><bdi class="text">${shown(spec.remediation)}</bdi></p></section>`}
    <${Facts} found=${found} address=${address} now=${now} />
    <${References} references=${spec.references ?? []} />
    <${History} found=${found} now=${now} />
    ${
      Object.keys(spec.details ?? {}).length > 0 &&
      html`<section><h3>Details</h3><${Details} details=${spec.details ?? {}} /></section>`
    }
    <details class="raw"><summary>YAML</summary><pre tabindex="0" aria-label="The object as YAML">${shown(yamlDocument(found))}</pre></details>`;
}

/** What became of a finding that can't be shown, and where to go on. */
function NotFound({ fault, name }: { readonly fault: Fault; readonly name: string }) {
  if (fault.status !== 404)
    return html`<h2 id="finding" tabindex="-1">This finding cannot be shown</h2><p>${shown(fault.message)}</p>`;
  const search = name.slice(name.indexOf('/') + 1);
  return html`<h2 id="finding" tabindex="-1">There is no finding of this name</h2>
    <p><b><bdi>${shown(name)}</bdi></b></p>
    <p>It was deleted, because its time was over or what it was about no longer exists, or the name is mistyped:
      findings are named <code>namespace/name</code>.</p>
    <p class="ways"><${Link} to=${{ facets: {}, view: 'all', search: search.slice(0, 200) }}>Search for this name<//>
      <${Link} to=${start}>All open findings<//></p>`;
}

export function Finding({ address, found, now }: FindingProps) {
  const key = address.finding ?? '';
  const panel = useRef<HTMLElement>(null);
  const isThere = found !== undefined;
  const close = (): void => closeFinding(address);
  useEffect(() => {
    panel.current?.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
  }, [key, isThere]);
  return html`<aside class="finding" ref=${panel} aria-label="One finding">
    <button type="button" class="close" onClick=${close} aria-label="Close">✕</button>
    ${found === undefined && html`<p class="loading">Loading…</p>`}
    ${found instanceof Fault && html`<${NotFound} fault=${found} name=${key} />`}
    ${found && !(found instanceof Fault) && html`<${Body} found=${found} address=${address} now=${now} />`}
  </aside>`;
}
