import { describe, expect, it } from 'vitest';
import { historyWith, severitiesIn } from '../../shared/pipeline/history.ts';

const entry = {
  time: Date.parse('2026-03-01T12:00:00Z'),
  state: 'open',
  severity: 'HIGH',
  reason: 'reported',
} as const;

describe('historyWith', () => {
  it.each([undefined, '', 'not JSON', '{}', '7'])('begins anew after what can not be read: %j', (history) => {
    expect(JSON.parse(historyWith(history, entry))).toEqual([{ ...entry, time: '2026-03-01T12:00:00.000Z' }]);
  });

  it('keeps the ten newest', () => {
    const all = Array.from({ length: 12 }, (_, index) => `${index}`);
    const history = all.reduce<string | undefined>(
      (before, reason) => historyWith(before, { ...entry, reason }),
      undefined,
    );
    const reasons = JSON.parse(history ?? '').map(({ reason }: { reason: string }) => reason);
    expect(reasons).toEqual(all.toReversed().slice(0, 10));
  });
});

describe('severitiesIn', () => {
  it('leaves out what somebody has edited, and what has none', () => {
    const history = JSON.stringify([{ severity: 'LOW', state: 'open' }, 7, { severity: 7 }, {}, { severity: 'HIGH' }]);
    expect(severitiesIn(history)).toEqual(['LOW', 'HIGH']);
    expect(severitiesIn(undefined)).toEqual([]);
  });
});
