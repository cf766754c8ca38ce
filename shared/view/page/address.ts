import { useEffect, useState } from 'preact/hooks';
import { facets } from '../facets.ts';

/** What the address says: which findings are shown, in which order, and which one is open. */
export type Address = Readonly<Record<string, string>>;

/** What narrows: each can be taken away by itself. */
export const filterNames = [...facets, 'fixable', 'search'] as const;

const names: readonly string[] = [...filterNames, 'view', 'sort', 'finding'];

export function readAddress(search: string): Address {
  return Object.fromEntries(
    [...new URLSearchParams(search)].filter(([name, value]) => names.includes(name) && value !== ''),
  );
}

/** An address with changes; what is changed to `undefined` is left out. */
export function changed(address: Address, changes: Readonly<Record<string, string | undefined>>): Address {
  return Object.fromEntries(
    Object.entries({ ...address, ...changes }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export function hrefOf(address: Address): string {
  const query = String(new URLSearchParams({ ...address }));
  return query === '' ? '/' : `/?${query}`;
}

/** The part of an address that the server is asked for. */
export function queryOf(address: Address, more: Readonly<Record<string, string>> = {}): URLSearchParams {
  const { finding: _finding, ...query } = address;
  return new URLSearchParams({ ...query, ...more });
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
