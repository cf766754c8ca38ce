import { facets } from '../facets.ts';
import { type Address, changed, cleared, toggling, valuesOf } from './address.ts';
import { html, Link } from './html.ts';
import { shown, valueText } from './texts.ts';
import { words } from './words.ts';

interface Chip {
  readonly key: string;
  readonly name: string;
  /** Empty where the name says it all. */
  readonly value: string;
  /** The address without it. */
  readonly to: Address;
}

export function chipsOf(address: Address): readonly Chip[] {
  const { fixable, search } = address;
  const ofFacets = facets.flatMap((name) =>
    valuesOf(address, name).map((value) => ({
      key: `${name} ${value}`,
      name: words[name],
      value: valueText(name, value),
      to: toggling(address, name, value),
    })),
  );
  const without = (name: 'fixable' | 'search') => changed(address, { [name]: undefined, finding: undefined });
  return [
    ...ofFacets,
    ...(fixable === undefined ? [] : [{ key: 'fixable', name: words.fixable, value: '', to: without('fixable') }]),
    ...(search === undefined
      ? []
      : [{ key: 'search', name: words.search, value: shown(search), to: without('search') }]),
  ];
}

/** What narrows, each with a click that takes it back. */
export function Chips({ address }: { readonly address: Address }) {
  const chips = chipsOf(address);
  if (chips.length === 0) return null;
  return html`<ul class="chips" aria-label="Active filters">${chips.map(
    ({ key, name, value, to }) => html`<li key=${key}><${Link} to=${to}>
      <span class="hidden">Remove filter: </span><span class="name">${name}</span>
      ${value !== '' && html`<bdi>${value}</bdi>`}<span aria-hidden="true" class="x">✕</span><//></li>`,
  )}${chips.length > 1 && html`<li><${Link} class="clear" to=${cleared(address)}>Clear all<//></li>`}</ul>`;
}
