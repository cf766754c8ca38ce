import htm from 'htm';
import { type ComponentChildren, h, type VNode } from 'preact';
import { severities } from '../../finding/severity.ts';
import { type Address, follow, hrefOf } from './address.ts';
import { sum } from './texts.ts';

/** Templates instead of JSX: nothing but text and elements ever comes of what is put into them. */
export const html: (strings: TemplateStringsArray, ...values: unknown[]) => VNode | VNode[] = htm.bind(h);

interface LinkProps {
  readonly to: Address;
  readonly children?: ComponentChildren;
  readonly [attribute: string]: unknown;
}

/** A link within the page. */
export function Link({ to, children, ...rest }: LinkProps) {
  return html`<a href=${hrefOf(to)} onClick=${(event: MouseEvent) => follow(event, to)} ...${rest}>${children}</a>`;
}

interface BarProps {
  readonly counts: readonly number[];
  /** The sum that fills the width. */
  readonly of: number;
}

/** A bar of the severities, as long as they are many. */
export function Bar({ counts, of }: BarProps) {
  const total = sum(counts);
  if (total === 0) return html`<span class="bar" aria-hidden="true"></span>`;
  // What is there at all can be seen.
  const width = Math.max(2, (100 * total) / Math.max(of, 1));
  return html`<span class="bar" aria-hidden="true"><span class="fill" style=${{ width: `${width}%` }}>
    ${severities.map((severity, step) =>
      counts[step] ? html`<i class=${`sev-${severity}`} style=${{ flexGrow: counts[step] }}></i>` : null,
    )}
  </span></span>`;
}

export function SeverityMark({ severity }: { readonly severity: string }) {
  return html`<span class=${`mark sev-${severity}`}>${severity}</span>`;
}
