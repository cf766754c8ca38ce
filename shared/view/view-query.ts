import type { Selection } from './selection.ts';

/** What a person looks for first. `new` and `gone` are of the last day. */
export const views = ['open', 'new', 'gone', 'accepted', 'all'] as const;

export type View = (typeof views)[number];

export const day = 86_400_000;

/** The rest of a selection in which a view shows something. */
export function viewSelection(view: View, now: number): Selection {
  const open: Selection = { states: ['open'], acceptance: { isAccepted: false, at: now } };
  switch (view) {
    case 'open':
      return open;
    case 'new':
      return { ...open, createdSince: now - day };
    case 'gone':
      return { states: ['missing', 'resolved'], changedSince: now - day };
    case 'accepted':
      // What is accepted and gone is gone: each is in one of them.
      return { states: ['open'], acceptance: { isAccepted: true, at: now } };
    case 'all':
      return {};
  }
}
