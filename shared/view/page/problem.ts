import { useState } from 'preact/hooks';
import { severities } from '../../finding/severity.ts';
import { type Facet, facets } from '../facets.ts';
import { type Address, changed, choosing, go, parameters, start, valuesOf } from './address.ts';
import type { Fault, Table } from './answers.ts';
import { html, Link } from './html.ts';
import { shown, valueText } from './texts.ts';
import { sorts, views, words } from './words.ts';

interface Choice {
  readonly text: string;
  readonly to: Address;
}

/** What there is to choose from, as links. */
function Choices({ choices }: { readonly choices: readonly Choice[] }) {
  return html`<ul class="choices">${choices.map(
    ({ text, to }) => html`<li key=${text}><${Link} to=${to}><bdi>${text}</bdi><//></li>`,
  )}</ul>`;
}

function choicesFor(name: string, address: Address): readonly Choice[] {
  if (name === 'severity') return severities.map((text) => ({ text, to: choosing(address, 'severity', [text]) }));
  if (name === 'view') return views.map(([view, text]) => ({ text, to: changed(address, { view }) }));
  if (name === 'sort') return sorts.map(([sort, text]) => ({ text, to: changed(address, { sort }) }));
  return [];
}

function isFacet(name: string): name is Facet {
  return facets.some((facet) => facet === name);
}

/** What the address has under that name, and the address without that. */
function partOf(
  name: string,
  address: Address,
): { readonly word: string; readonly given: string; readonly without: Address } {
  if (isFacet(name)) {
    return { word: words[name], given: valuesOf(address, name).join(', '), without: choosing(address, name, []) };
  }
  const given =
    name === 'view' || name === 'sort' || name === 'search' || name === 'fixable' ? address[name] : undefined;
  const word = name === 'view' || name === 'sort' || name === 'search' || name === 'fixable' ? words[name] : name;
  return { word, given: given ?? '', without: changed(address, { [name]: undefined }) };
}

/** An address that somebody mistyped: what is wrong with it, what there is instead, and the way back. */
function BadAddress({ fault, address }: { readonly fault: Fault; readonly address: Address }) {
  const name = fault.path ?? '';
  const { word, given, without } = partOf(name, address);
  const choices = choicesFor(name, address);
  return html`<div class="nothing"><h2>This address cannot be shown</h2>
    <p>${word}: <b>${shown(given)}</b> ${choices.length > 0 ? 'is none of these:' : shown(fault.message.replace('a bad query: ', ''))}</p>
    <${Choices} choices=${choices} />
    <p><${Link} to=${without}>Show it without that<//>${' or '}<${Link} to=${start}>all open findings<//></p></div>`;
}

/** An address with a parameter that there is none of: without it, something else would be shown than was meant. */
export function UnknownParameter({ name, address }: { readonly name: string; readonly address: Address }) {
  return html`<main id="findings" tabindex="-1"><div class="nothing"><h2>This address cannot be shown</h2>
    <p>There is no filter <b>${shown(name)}</b>. There is ${parameters.join(', ')}.</p>
    <p><${Link} to=${changed(address, { unknown: undefined })}>Show it without that<//>${' or '}<${Link} to=${start}>all open findings<//></p></div></main>`;
}

function NamespaceForm({ address }: { readonly address: Address }) {
  const [namespace, setNamespace] = useState('');
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    if (namespace.trim() !== '') go(choosing(address, 'namespace', [namespace.trim()]));
  };
  const asked = valuesOf(address, 'namespace');
  return html`<div class="nothing"><h2>Which namespace?</h2>
    <p>${
      asked.length === 0
        ? 'You may not see the findings of the whole cluster, but perhaps those of a namespace.'
        : html`You may not see the findings in <b>${shown(asked.join(', '))}</b>${asked.length > 1 && ' together'}.`
    }</p>
    <form onSubmit=${onSubmit}><label>Namespace <input type="text" name="namespace" value=${namespace} autocomplete="off"
      onInput=${(event: Event) => event.target instanceof HTMLInputElement && setNamespace(event.target.value)} /></label>
      <button class="main">Show it</button></form></div>`;
}

/** Why there is nothing to see, and what to do about it. */
export function Problem({ fault, address }: { readonly fault: Fault; readonly address: Address }) {
  const { status, path, message } = fault;
  if (status === 401) {
    const how = document.querySelector<HTMLMetaElement>('meta[name="sign-in"]')?.content;
    return html`<div class="nothing"><h2>Sign in first</h2><p>${how}</p><p>The answer was: ${shown(message)}.</p></div>`;
  }
  if (status === 403 && path === 'namespace') return html`<${NamespaceForm} address=${address} />`;
  if (status === 400) return html`<${BadAddress} fault=${fault} address=${address} />`;
  return html`<div class="nothing"><h2>${status === 0 ? 'The server cannot be reached' : 'This cannot be shown'}</h2>
    <p>${status === 0 ? 'It is asked again and again: leave the page open.' : shown([message, path].filter(Boolean).join(': '))}</p></div>`;
}

const nothing: Readonly<Record<string, string>> = {
  new: 'Nothing came in the last day.',
  gone: 'Nothing went away in the last day.',
  accepted: 'Nothing is accepted.',
  all: 'Nothing is stored.',
};

/** The facets of which only values are chosen that nothing has here, and the values that there are. */
function mistypedIn(table: Table, address: Address) {
  return facets.flatMap((name) => {
    const { items = [], distinct = 0 } = table.facets[name] ?? {};
    const chosen = valuesOf(address, name);
    const isKnown = items.length > 0 && distinct <= items.length;
    if (chosen.length === 0 || !isKnown || items.some(({ value }) => chosen.includes(value))) return [];
    const choices = items.map(({ value }) => ({
      text: valueText(name, value),
      to: choosing(address, name, [value]),
    }));
    return [{ name, chosen, choices }];
  });
}

/** Where an empty list comes from. */
export function Nothing({
  table,
  address,
  isNarrowed,
}: {
  readonly table: Table;
  readonly address: Address;
  readonly isNarrowed: boolean;
}) {
  if (!table.isComplete) return html`<p class="nothing">Loading…</p>`;
  if (isNarrowed) {
    return html`<div class="nothing"><h3>Nothing matches</h3>
      ${mistypedIn(table, address).map(
        ({
          name,
          chosen,
          choices,
        }) => html`<p>Nothing here has the ${words[name].toLowerCase()} <b>${shown(chosen.join(', '))}</b>. There is:</p>
        <${Choices} choices=${choices} />`,
      )}
      <p>Remove a filter, or look at <${Link} to=${changed(address, { view: 'all' })}>everything stored<//>.</p></div>`;
  }
  const view = address.view ?? 'open';
  if (view !== 'open') return html`<div class="nothing"><h3>Nothing here</h3><p>${nothing[view]}</p></div>`;
  return html`<div class="nothing"><h3>No open findings</h3>
    <p>What a tool reports shows up here within a second. No scan at hand? <code>npm start -- --samples</code> plays some.</p></div>`;
}
