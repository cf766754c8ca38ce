import { useState } from 'preact/hooks';
import type { Facet as FacetName } from '../facets.ts';
import { type Address, changed, go, toggling, valuesOf } from './address.ts';
import type { FacetCounts, Table } from './answers.ts';
import { chipsOf } from './chips.ts';
import { Bar, html, Link } from './html.ts';
import { number, plural, sum, valueText } from './texts.ts';

interface FacetProps {
  readonly name: FacetName;
  readonly title: string;
  readonly counts: FacetCounts | undefined;
  readonly address: Address;
  /** How many values are shown before somebody asks for more. */
  readonly few: number;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

/** The values of one facet, each a link that adds it to what is chosen, or, if it is chosen, takes it back. */
function Facet({ name, title, counts, address, few, isOpen, onToggle }: FacetProps) {
  const items = (counts?.items ?? []).slice(0, isOpen ? 50 : few);
  if (items.length === 0) return null;
  const most = Math.max(...items.map(({ severities }) => sum(severities)));
  const left = (counts?.distinct ?? 0) - few;
  return html`<section class="facet" aria-labelledby=${`facet-${name}`}>
    <h3 id=${`facet-${name}`} title="Worst first">${title}</h3>
    <ul>
      ${items.map(({ value, severities }) => {
        const isChosen = valuesOf(address, name).includes(value);
        const to = toggling(address, name, value);
        const count = sum(severities);
        return html`<li key=${value}><${Link} to=${to} class="value" aria-current=${isChosen ? 'true' : undefined}>
          <bdi class="label" title=${valueText(name, value)}>${valueText(name, value)}</bdi>
          <span class="count">${number.format(count)}</span>
          <${Bar} counts=${severities} of=${most} />
        <//></li>`;
      })}
    </ul>
    ${
      left > 0 &&
      html`<button type="button" class="quiet" aria-expanded=${isOpen} onClick=${onToggle}>
      ${isOpen ? 'Fewer' : `${number.format(left)} more`}<span class="hidden"> in ${title}</span>
    </button>`
    }
  </section>`;
}

const shownFacets = [
  ['severity', 'Severity', 5],
  ['source', 'Source', 8],
  ['namespace', 'Namespace', 8],
  ['workload', 'Workload', 6],
  ['rule', 'Rule', 6],
  ['kind', 'Resource kind', 8],
  ['actor', 'User', 5],
  ['fix', 'Fix', 5],
  ['image', 'Image', 5],
] as const;

export interface FacetsProps {
  readonly table: Table;
  readonly address: Address;
  readonly isWide: boolean;
  /** Asks for more values than a few of each. */
  readonly onMore: () => void;
}

export function Facets({ table, address, isWide, onMore }: FacetsProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (name: string): void => {
    const next = new Set(open);
    if (next.has(name)) next.delete(name);
    else next.add(name);
    setOpen(next);
    onMore();
  };
  const isFixable = address.fixable === 'true';
  const active = chipsOf(address).length;
  const content = html`
    <label class="check"><input type="checkbox" checked=${isFixable} onChange=${() => go(changed(address, { fixable: isFixable ? undefined : 'true', finding: undefined }))} />Can be fixed</label>
    ${shownFacets.map(
      ([name, title, few]) =>
        html`<${Facet} key=${name} name=${name} title=${title} few=${few} counts=${table.facets[name]}
          address=${address} isOpen=${open.has(name)} onToggle=${() => toggle(name)} />`,
    )}`;
  if (isWide) return html`<nav class="facets" aria-label="Filters"><h2 class="hidden">Filters</h2>${content}</nav>`;
  return html`<nav class="facets" aria-label="Filters"><details>
    <summary class=${active > 0 ? 'on' : ''}>Filters ${
      active > 0
        ? html`<span class="active">${number.format(active)} on</span>`
        : html`<span class="count">${plural(table.facets.source?.distinct ?? 0, 'source')}${', '}${plural(table.facets.namespace?.distinct ?? 0, 'namespace')}</span>`
    }</summary>
    <h2 class="hidden">Filters</h2>${content}</details></nav>`;
}
