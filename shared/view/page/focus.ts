import type { Facet } from '../facets.ts';
import { type Address, toggling, valuesOf } from './address.ts';
import type { FacetCounts, Table } from './answers.ts';
import { Bar, html, Link } from './html.ts';
import { number, plural, sum, valueText } from './texts.ts';

/** What is told of a thing that somebody looks at: by these facets, under these words. */
const focuses = [
  [
    'rule',
    'Rule',
    [
      ['workload', 'Affected workloads'],
      ['fix', 'Fixes'],
      ['image', 'Images'],
    ],
  ],
  [
    'workload',
    'Workload',
    [
      ['source', 'Sources'],
      ['rule', 'Rules'],
      ['fix', 'Fixes'],
      ['actor', 'Users'],
    ],
  ],
  [
    'image',
    'Image',
    [
      ['workload', 'Runs in'],
      ['rule', 'Rules'],
      ['fix', 'Fixes'],
    ],
  ],
  [
    'actor',
    'User',
    [
      ['rule', 'What they did'],
      ['kind', 'Resource kinds'],
      ['workload', 'Workloads'],
    ],
  ],
  [
    'fix',
    'Fix',
    [
      ['rule', 'Rules it clears'],
      ['workload', 'Workloads'],
    ],
  ],
] as const;

interface PartProps {
  readonly name: Facet;
  readonly title: string;
  readonly counts: FacetCounts | undefined;
  readonly address: Address;
}

function Part({ name, title, counts, address }: PartProps) {
  const items = (counts?.items ?? []).slice(0, 5);
  if (items.length === 0) return null;
  const most = Math.max(...items.map(({ severities }) => sum(severities)));
  const left = (counts?.distinct ?? 0) - items.length;
  return html`<section class="part"><h3>${title}</h3><ul>${items.map(
    ({ value, severities }) => html`<li key=${value}><${Link} class="value" to=${toggling(address, name, value)}>
      <bdi class="label" title=${valueText(name, value)}>${valueText(name, value)}</bdi>
      <span class="count">${name === 'fix' ? `clears ${number.format(sum(severities))}` : number.format(sum(severities))}</span>
      <${Bar} counts=${severities} of=${most} /><//></li>`,
  )}</ul>${left > 0 && html`<p class="more">and ${number.format(left)} more</p>`}</section>`;
}

/** One workload, rule, image, user or remedy, if one alone has been chosen. */
interface FocusProps {
  readonly table: Table;
  readonly address: Address;
  readonly isWide: boolean;
}

export function Focus({ table, address, isWide }: FocusProps) {
  const focus = focuses.find(([name]) => valuesOf(address, name).length === 1);
  if (!focus) return null;
  const [name, word, parts] = focus;
  const [value = ''] = valuesOf(address, name);
  const workloads = table.facets.workload?.distinct ?? 0;
  const also = name === 'workload' ? plural(table.facets.rule?.distinct ?? 0, 'rule') : plural(workloads, 'workload');
  const content = html`<div class="parts">${parts.map(
    ([facet, title]) =>
      html`<${Part} key=${facet} name=${facet} title=${title} counts=${table.facets[facet]} address=${address} />`,
  )}</div>`;
  // On a phone, the findings come first.
  return html`<section class="focus" aria-labelledby="focus">
    <p class="kicker">${word}</p>
    <h2 id="focus"><bdi>${valueText(name, value)}</bdi></h2>
    <p class="sums">${plural(table.total, 'finding')}, ${also}</p>
    ${isWide ? content : html`<details><summary>What it has</summary>${content}</details>`}
  </section>`;
}
