import { useEffect } from 'preact/hooks';
import { type Address, changed, go, readAddress } from './address.ts';

const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };

function rowAt(index: number): HTMLAnchorElement | null {
  return document.querySelector<HTMLAnchorElement>(`[data-row="${index}"]`);
}

/** The first row that can be seen. */
function firstRow(): HTMLAnchorElement | undefined {
  const rows = [...document.querySelectorAll<HTMLAnchorElement>('[data-row]')];
  return rows.find((row) => row.getBoundingClientRect().top >= 0);
}

function focus(row: HTMLElement): void {
  row.focus();
  row.scrollIntoView({ block: 'nearest' });
}

/** Whether keys have a meaning of their own there: they write, or move in a text. */
function isTakenBy(target: HTMLElement): boolean {
  return target.matches('input, select, textarea, pre');
}

/** The row to which an arrow leads from there, and whether it is to be opened, as another one is open. */
function nextRow(
  target: HTMLElement,
  step: number,
): { readonly row: HTMLAnchorElement; readonly opens: boolean } | undefined {
  const open = document.querySelector<HTMLElement>('[data-row][aria-current]');
  const from = target.closest('.finding') ? open : target.dataset.row ? target : undefined;
  const row = from && rowAt(Number(from.dataset.row) + step);
  return row ? { row, opens: open !== null } : undefined;
}

function onArrow(event: KeyboardEvent, target: HTMLElement, step: number): void {
  const isSearch = target.id === 'search' && event.key === 'ArrowDown';
  if (isTakenBy(target) && !isSearch) return;
  const isStart = isSearch || target === document.body || target.id === 'findings';
  const first = isStart && step > 0 ? firstRow() : undefined;
  const next = first ? { row: first, opens: false } : nextRow(target, step);
  if (!next) return;
  event.preventDefault();
  if (next.opens) {
    next.row.scrollIntoView({ block: 'nearest' });
    go(readAddress(new URL(next.row.href).search), true);
  } else focus(next.row);
}

/** Closes the open finding, and goes back to its row. */
export function closeFinding(address: Address): void {
  const open = document.querySelector<HTMLElement>('[data-row][aria-current]');
  go(changed(address, { finding: undefined }));
  open?.focus();
}

/** Arrows lead from the search to the first row, from row to row, and from one open finding to the next; Escape closes it. */
export function useKeyboard(address: Address): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { target, key } = event;
      const isPlain = !(event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey);
      if (!isPlain || !(target instanceof HTMLElement)) return;
      const step = steps[key];
      if (step !== undefined) onArrow(event, target, step);
      else if (key === 'Escape' && address.finding !== undefined && !target.matches('input, select'))
        closeFinding(address);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [address]);
}
