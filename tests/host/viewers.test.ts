import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import page from '../../functions/page.ts';
import { commonSchema } from '../../shared/function/settings.ts';
import { createViewers, type Viewers } from '../../shared/host/viewers.ts';
import { until } from './program.ts';

/** What a list has of it: as little as there may be. */
function observation(at: number) {
  return {
    metadata: {
      namespace: 'shop',
      name: `posture-${at}`,
      uid: `uid-${at}`,
      resourceVersion: '1',
      creationTimestamp: '2026-03-01T10:00:00Z',
    },
    spec: { source: 'posture', category: 'security', severity: 'LOW', eventType: 'check', details: {} },
  };
}

/** Those who see so many, by their token; everybody else sees one. */
const rowsOf: Readonly<Record<string, number>> = { many: 90_000, more: 90_000, most: 90_000 };

/** An API server of Observations alone, which knows who watches. */
function createApiServer() {
  const watching = new Set<string>();
  const lists = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
    response.setHeader('Content-Type', 'application/json');
    if (query.has('watch')) {
      watching.add(token);
      response.once('close', () => watching.delete(token));
      response.writeHead(200).flushHeaders();
      return;
    }
    const start = Number(query.get('continue') ?? 0);
    const rows = rowsOf[token] ?? 1;
    const end = Math.min(rows, start + Number(query.get('limit')));
    if (start === 0) lists.set(token, (lists.get(token) ?? 0) + 1);
    const items = Array.from({ length: end - start }, (_, at) => observation(start + at));
    const metadata = { resourceVersion: '1', ...(end < rows && { continue: String(end) }) };
    response.end(JSON.stringify({ kind: 'ObservationList', apiVersion: 'zen.kube-zen.io/v1', metadata, items }));
  });
  return { server, watching, lists };
}

const progress = z.object({ read: z.number(), isComplete: z.boolean() });

describe('createViewers', () => {
  const api = createApiServer();
  let credentials: Parameters<typeof createViewers>[0]['credentials'];
  let viewers: Viewers;
  let elapsed = 0;

  beforeAll(async () => {
    api.server.listen(0, '127.0.0.1');
    await once(api.server, 'listening');
    const address = api.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    credentials = { server: `http://127.0.0.1:${port}`, tls: async () => ({}), authorization: async () => undefined };
  });

  afterAll(() => {
    api.server.closeAllConnections();
    api.server.close();
  });

  beforeEach(() => {
    // The timer that sweeps alone: what is sent and awaited goes by real ones.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    elapsed = 0;
    viewers = createViewers({
      definition: page,
      settings: { ...commonSchema.parse({}), ownUsers: [] },
      credentials,
      now: Date.now,
      elapsed: () => elapsed,
    });
  });

  afterEach(async () => {
    viewers.stop();
    vi.useRealTimers();
    await until('nobody to be watching', () => api.watching.size === 0);
  });

  const look = (token: string) =>
    viewers.viewerFor({ headers: { authorization: `Bearer ${token}` }, namespace: undefined });

  /** Resolves to how many rows they see, once all have been read. */
  async function read(token: string): Promise<number> {
    const viewer = await look(token);
    let rows = 0;
    await until('all to be read', () => {
      const { read, isComplete } = progress.parse(viewer.table({ view: 'all' }));
      rows = read;
      return isComplete;
    });
    await until('changes to be watched', () => api.watching.has(token));
    return rows;
  }

  it('keeps what 24 people see, and lets go of those who have not asked for longest', async () => {
    for (let at = 0; at < 24; at += 1) expect(await read(`person-${at}`)).toBe(1);
    expect(api.watching.size).toBe(24);
    await look('person-0');
    for (let at = 24; at < 30; at += 1) expect(await read(`person-${at}`)).toBe(1);
    await until('the others to be let go', () => api.watching.size === 24);
    expect(api.watching.has('person-0')).toBe(true);
    for (let at = 1; at <= 6; at += 1) expect(api.watching.has(`person-${at}`)).toBe(false);
    expect(await read('person-1')).toBe(1);
  });

  it('keeps 200,000 rows of all people together, but always those of who asks', { timeout: 120_000 }, async () => {
    expect(await read('many')).toBe(90_000);
    expect(await read('more')).toBe(90_000);
    expect(await read('most')).toBe(90_000);
    await look('most');
    const listed = (token: string): number => api.lists.get(token) ?? 0;
    const [first, second] = [listed('many'), listed('more')];
    await look('more');
    expect(listed('more')).toBe(second);
    await look('many');
    expect(listed('many')).toBeGreaterThan(first);
  });

  it('lets go of whoever has asked nothing for five minutes', async () => {
    await read('early');
    elapsed = 200_000;
    await read('late');
    elapsed = 299_999;
    vi.advanceTimersByTime(60_000);
    expect(api.watching.size).toBe(2);
    elapsed = 300_000;
    vi.advanceTimersByTime(60_000);
    await until('who asked no more to be let go', () => api.watching.size === 1);
    expect([...api.watching]).toEqual(['late']);
  });

  it('reads nothing twice for the same person, and nothing of one for another', async () => {
    await read('same');
    await look('same');
    await read('other');
    // One list to look through, one to see whether that is allowed.
    expect(api.lists.get('same')).toBe(2);
    expect(api.lists.get('other')).toBe(2);
  });
});
