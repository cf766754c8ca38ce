import { useEffect, useRef } from 'preact/hooks';
import { type Address, changed, go } from './address.ts';
import { html } from './html.ts';

/**
 * What is typed is in the address at once, and shown from there: there is no second copy that could be older. A search is one
 * entry of the history, so that "back" leaves it.
 */
export function SearchField({ address }: { readonly address: Address }) {
  const field = useRef<HTMLInputElement>(null);
  const given = address.search ?? '';
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  const onInput = (event: Event): void => {
    if (!(event.target instanceof HTMLInputElement)) return;
    const { value } = event.target;
    const search = value.trim() === '' ? undefined : value;
    go(changed(address, { search, finding: undefined }), given !== '');
  };
  return html`<search class="search"><label class="hidden" for="search">Search in findings</label>
    <input id="search" ref=${field} type="search" value=${given} onInput=${onInput} maxlength="200" autocomplete="off" spellcheck=${false}
      placeholder="Search: openssl shop, falco node-1, …" /><kbd aria-hidden="true">Ctrl K</kbd></search>`;
}
