import { useEffect } from 'preact/hooks';
import type { Address } from './address.ts';
import { Fault, type Observation, type Table } from './answers.ts';
import { chipsOf } from './chips.ts';
import { plural, shown } from './texts.ts';

const kinds: Readonly<Record<string, string>> = {
  open: 'open',
  new: 'new',
  gone: 'gone',
  accepted: 'accepted',
  all: '',
};

type Found = Observation | Fault | undefined;

/** What the page shows, in a line: of several tabs, and of several entries of the history, each says what it has. */
function titleOf(address: Address, table: Table | undefined, found: Found): string {
  const { finding, view = 'open' } = address;
  if (finding !== undefined) return shown((found instanceof Fault ? undefined : found?.spec.summary) || finding);
  if (!table) return '';
  const filters = chipsOf(address).map(({ name, value }) => (value === '' ? name : value));
  const kind = kinds[view] ?? '';
  const count = plural(table.total, kind === '' ? 'finding' : `${kind} finding`);
  return [filters.join(', '), count].filter(Boolean).join(': ');
}

const mostCharacters = 120;

export function useTitle(address: Address, table: Table | undefined, found: Found): void {
  const title = titleOf(address, table, found);
  useEffect(() => {
    const short = title.length > mostCharacters ? `${title.slice(0, mostCharacters).toWellFormed()}…` : title;
    document.title = [short, 'zen-watcher'].filter(Boolean).join(' – ');
  }, [title]);
}
