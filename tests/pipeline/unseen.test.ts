import { describe, expect, it } from 'vitest';
import { formatReportedBy } from '../../shared/api/reported-by.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type KubernetesObject, NotServed } from '../../shared/function/stores.ts';
import { createUnseen, type UnseenKind, whileSeen } from '../../shared/pipeline/unseen.ts';
import { createTestContext } from './test-context.ts';
import { anObject, box, boxes, crate } from './test-sources.ts';

const { context } = createTestContext(boxes);
const inShop = createTestContext(boxes, { environment: { WATCH_NAMESPACE: 'shop' } }).context;
const ofBox = formatReportedBy({ namespace: 'shop', group: box.group, kind: 'Box' });

interface Case {
  readonly unseen?: readonly UnseenKind[];
  readonly reportedBy?: string;
  readonly own?: typeof context;
}

describe('createUnseen', () => {
  it.each<[string, Case, boolean]>([
    ['everything was seen', { reportedBy: ofBox }, false],
    ['its kind was not', { reportedBy: ofBox, unseen: [box] }, true],
    ['another kind was not', { reportedBy: ofBox, unseen: [crate] }, false],
    ['another group was not', { reportedBy: ofBox, unseen: [{ group: 'other.org', kind: 'Box' }] }, false],
    ['no kind of its group was', { reportedBy: ofBox, unseen: [{ group: box.group, kind: undefined }] }, true],
    ['a kind without a name was not', { reportedBy: ofBox, unseen: [{ group: box.group, kind: '' }] }, true],
    ['nobody knows its kind, and all were seen', {}, false],
    ['nobody knows its kind, and one of two was seen', { unseen: [box] }, false],
    ['nobody knows its kind, and none was seen', { unseen: [crate, box] }, true],
    ['nobody can read its kind, and none was seen', { reportedBy: '{', unseen: [crate, box] }, true],
    ['a tenant saw its namespace', { reportedBy: ofBox, own: inShop }, false],
    [
      'a tenant did not see its namespace',
      { reportedBy: formatReportedBy({ namespace: 'pay', group: box.group, kind: 'Box' }), own: inShop },
      true,
    ],
  ])('says whether a report may have what is stored: %s', (_case, { unseen = [], reportedBy, own = context }, may) => {
    expect(createUnseen([box, crate], own, unseen).mayReport({ reportedBy })).toBe(may);
    const later = createUnseen([box, crate], own);
    for (const kind of unseen) later.note(kind);
    expect([later.mayReport({ reportedBy }), later.fault()]).toEqual([may, undefined]);
  });

  it('lets nothing be over after a fault, of which it keeps the first', () => {
    const unseen = createUnseen([box, crate], context);
    const [first, second] = [new Refusal(503, 'away'), new Refusal(503, 'still away')];
    unseen.note(crate, first);
    unseen.note(box, second);
    expect([unseen.mayReport({ reportedBy: undefined }), unseen.mayReport({ reportedBy: ofBox })]).toEqual([
      true,
      true,
    ]);
    expect(unseen.fault()).toBe(first);
  });

  it('has nothing to wait for where there is nothing to be looked at', () => {
    expect(createUnseen([], context).mayReport({})).toBe(false);
  });
});

describe('whileSeen', () => {
  async function seen(error: unknown, signal = new AbortController().signal) {
    const unseen = createUnseen([box], context);
    const list = async function* (): AsyncGenerator<KubernetesObject> {
      yield anObject('a');
      if (error) throw error;
    };
    const objects = await Array.fromAsync(whileSeen(box, list(), unseen, signal));
    return [objects.length, unseen.mayReport({ reportedBy: ofBox }), unseen.fault()];
  }

  it('lists what there is, up to where it fails, and remembers why', async () => {
    const away = new Refusal(503, 'away');
    expect(await seen(undefined)).toEqual([1, false, undefined]);
    expect(await seen(away)).toEqual([1, true, away]);
    expect(await seen(new NotServed(box))).toEqual([1, true, undefined]);
  });

  it('ends with what is no refusal, and with its time', async () => {
    await expect(seen(new TypeError('a bug'))).rejects.toThrow('a bug');
    await expect(seen(new Refusal(503, 'away'), AbortSignal.abort())).rejects.toThrow('away');
  });
});
