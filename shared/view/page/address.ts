import { useEffect, useState } from 'preact/hooks';
import { type Facet, facets } from '../facets.ts';

/** What the address says: which findings are shown, in which order, and which one is open. */
export interface Address {
  /** The values that are chosen of each facet, any of which will do. */
  readonly facets: Readonly<Partial<Record<Facet, readonly string[]>>>;
  readonly fixable?: string | undefined;
  readonly search?: string | undefined;
  readonly view?: string | undefined;
  readonly sort?: string | undefined;
  /** `<namespace>/<name>` */
  readonly finding?: string | undefined;
  /** A parameter that there is none of, as somebody mistyped it: no link of the page has it. */
  readonly unknown?: string | undefined;
}

export const start: Address = { facets: {} };

const singles = ['fixable', 'search', 'view', 'sort', 'finding'] as const;

/** What an address may have. */
export const parameters: readonly string[] = [...facets, ...singles];

export function readAddress(query: string): Address {
  const given = new URLSearchParams(query);
  const chosen = facets.map(
    (name) => [name, [...new Set(given.getAll(name))].filter((value) => value !== '')] as const,
  );
  const unknown = [...given.keys()].find((name) => !parameters.includes(name));
  return {
    ...(unknown !== undefined && { unknown }),
    facets: Object.fromEntries(chosen.filter(([, values]) => values.length > 0)),
    ...Object.fromEntries(singles.flatMap((name) => (given.get(name) ? [[name, given.get(name)]] : []))),
  };
}

/** An address with changes. */
export function changed(address: Address, changes: Partial<Address>): Address {
  return { ...address, ...changes };
}

/** The address with these values of a facet chosen, and with no finding open. */
export function choosing(address: Address, name: Facet, values: readonly string[]): Address {
  const { [name]: _before, ...others } = address.facets;
  return changed(address, {
    facets: values.length === 0 ? others : { ...others, [name]: values },
    finding: undefined,
  });
}

export function valuesOf(address: Address, name: Facet): readonly string[] {
  return address.facets[name] ?? [];
}

/** The address after a click on a value: it is chosen besides the others, or not any more. */
export function toggling(address: Address, name: Facet, value: string): Address {
  const values = valuesOf(address, name);
  return choosing(address, name, values.includes(value) ? values.filter((one) => one !== value) : [...values, value]);
}

/** Whether it shows less than its view has. */
export function isNarrowed({ facets, fixable, search }: Address): boolean {
  return Object.keys(facets).length > 0 || fixable !== undefined || search !== undefined;
}

/** The address without what narrows, and with no finding open. */
export function cleared({ view, sort }: Address): Address {
  return { facets: {}, view, sort };
}

function parametersOf(address: Address): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of facets) for (const value of valuesOf(address, name)) query.append(name, value);
  for (const name of singles) {
    const value = address[name];
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

export function hrefOf(address: Address): string {
  const query = String(parametersOf(address));
  return query === '' ? '/' : `/?${query}`;
}

/** The part of an address that the server is asked for. */
export function queryOf(address: Address, more: Readonly<Record<string, string>> = {}): URLSearchParams {
  const query = parametersOf({ ...address, finding: undefined });
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return query;
}

const listeners = new Set<() => void>();

export function go(address: Address, replaces = false): void {
  if (replaces) history.replaceState(null, '', hrefOf(address));
  else history.pushState(null, '', hrefOf(address));
  for (const listener of listeners) listener();
}

/** Follows the address. */
export function useAddress(): Address {
  const [address, setAddress] = useState(() => readAddress(location.search));
  useEffect(() => {
    const read = (): void => setAddress(readAddress(location.search));
    listeners.add(read);
    addEventListener('popstate', read);
    return () => {
      listeners.delete(read);
      removeEventListener('popstate', read);
    };
  }, []);
  return address;
}

/** A click that the page takes itself; with a modifier the browser opens a tab. */
export function follow(event: MouseEvent, address: Address): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  event.preventDefault();
  go(address);
}
