import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import { SettingsError } from '../../shared/function/settings.ts';
import type { Store } from '../../shared/function/stores.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { createLog } from '../../shared/host/log.ts';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { type StandaloneMode, startStandaloneMode } from '../../shared/standalone/standalone-mode.ts';
import { policyReport } from '../cluster/report-crds.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { createTestObjects } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { selfSigned } from '../transport/certificate.ts';

const definitions = await loadFunctions();
const token = 'a-token-of-senders';
const alert = {
  ...{ rule: 'shell', priority: 'Critical', time: '2026-03-01T10:00:00Z' },
  output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web' },
};
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A cluster in memory, which any number of standalone processes may share. */
function createWorld(wrap: (store: Store) => Partial<Store> = () => ({})) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'token'), token);
  const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
  closing.push(() => store.close());
  const objects = createTestObjects();
  const lines: string[] = [];
  const log = createLog('INFO', 'standalone', { write: (line) => void lines.push(line) });
  const connect = () => ({
    store: { ...store, ...wrap(store) },
    ...{ objects, owners: objects },
    discovery: {
      groups: async () => new Map([['wgpolicyk8s.io', ['v1alpha2']]]),
      kinds: async () => [{ kind: 'PolicyReport', plural: 'policyreports', namespaced: true }],
      mayWatch: async () => true,
    },
    watch: () => ({ objects: () => [], isSynced: () => true }),
    follow(_kind: unknown, { onStart }: { readonly onStart: () => void }) {
      queueMicrotask(onStart);
      return { isSynced: () => true };
    },
    close: () => undefined,
  });
  return {
    ...{ folder, store, objects, lines },
    async start(environment: Record<string, string> = {}): Promise<StandaloneMode> {
      const all = { PORT: '0', TLS_PORT: '0', WEBHOOK_AUTH_TOKEN_FILE: join(folder, 'token'), ...environment };
      const mode = await startStandaloneMode({ definitions, environment: all, log, connect });
      closing.push(() => mode.stop());
      return mode;
    },
    async stored() {
      const { items } = await store.read({ limit: 1000 });
      return items.filter(({ metadata }) => metadata.namespace !== 'zen-system');
    },
  };
}

/** Where a process is reached whose address is every one. */
const at = (url: string | undefined, path: string): string => `${url?.replace('0.0.0.0', 'localhost')}${path}`;
const signedIn = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

async function post(url: string, headers: Record<string, string> = signedIn, body: unknown = alert): Promise<number> {
  return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status;
}

/** Posts over TLS on a connection of its own, trusting this certificate alone. */
async function postSecurely(url: string, ca: string, headers: Record<string, string> = signedIn) {
  const outgoing = request(url, { method: 'POST', agent: false, ca, headers });
  const [answer] = await once(outgoing.end(JSON.stringify({ ...alert, rule: `shell ${Math.random()}` })), 'response');
  const { statusCode, socket } = z.object({ statusCode: z.number(), socket: z.custom<TLSSocket>() }).parse(answer);
  const { fingerprint256 }: PeerCertificate = socket.getPeerCertificate();
  answer.resume();
  return { status: statusCode, fingerprint256 };
}

describe('standalone mode over https', () => {
  function writeCertificate(folder: string): string {
    const { key, cert } = selfSigned(temporaryFolder());
    writeFileSync(join(folder, 'tls.crt'), cert);
    writeFileSync(join(folder, 'tls.key'), key);
    return cert;
  }
  const filesIn = (folder: string) => ({
    TLS_CERT_FILE: join(folder, 'tls.crt'),
    TLS_KEY_FILE: join(folder, 'tls.key'),
  });

  it('takes posts with the token, and none without', async () => {
    const world = createWorld();
    const cert = writeCertificate(world.folder);
    const url = at((await world.start(filesIn(world.folder))).secureUrl, '/falco/webhook');
    expect(url).toMatch(/^https:/);
    const { authorization: _token, ...without } = signedIn;
    expect((await postSecurely(url, cert, without)).status).toBe(401);
    expect(await world.stored()).toEqual([]);
    expect((await postSecurely(url, cert)).status).toBe(204);
    expect(await world.stored()).toHaveLength(1);
  });

  it('uses a certificate from when it is there, and one that is renewed, without a restart', async () => {
    const world = createWorld();
    const url = at((await world.start(filesIn(world.folder))).secureUrl, '/falco/webhook');
    await expect(postSecurely(url, '')).rejects.toThrow();
    const before = writeCertificate(world.folder);
    const first = await postSecurely(url, before);
    const after = writeCertificate(world.folder);
    const second = await postSecurely(url, after);
    expect([first.status, second.status]).toEqual([204, 204]);
    expect(second.fingerprint256).not.toBe(first.fingerprint256);
    await expect(postSecurely(url, before)).rejects.toThrow();
    // A key that doesn't fit, as between two writes; then none at all.
    writeFileSync(join(world.folder, 'tls.key'), selfSigned(temporaryFolder()).key);
    expect((await postSecurely(url, after)).fingerprint256).toBe(second.fingerprint256);
    rmSync(join(world.folder, 'tls.key'));
    expect((await postSecurely(url, after)).fingerprint256).toBe(second.fingerprint256);
    const said = world.lines.filter((line) => line.includes('"https"')).join('');
    expect(said.match(/the one before is used/g)).toHaveLength(2);
    expect(said).not.toContain('PRIVATE KEY');
  });

  it('needs a certificate and a key, or neither', async () => {
    const { start, folder } = createWorld();
    await expect(start({ TLS_CERT_FILE: join(folder, 'tls.crt') })).rejects.toThrow(SettingsError);
    expect((await start()).secureUrl).toBeUndefined();
  });
});

describe('standalone mode with a sink', () => {
  async function startReceiver() {
    const told: { change: string; observation: { spec: { rule: string } } }[] = [];
    const tokens = new Set<string | undefined>();
    const server = createServer(async (incoming, response) => {
      tokens.add(incoming.headers.authorization);
      told.push(...[JSON.parse(await text(incoming))].flat());
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    return { told, tokens, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  it('tells it what opens, once it is stored, and is done with it then', async () => {
    const { told, url } = await startReceiver();
    const world = createWorld();
    const mode = await world.start({ SINK_URL: url });
    expect(await post(at(mode.url, '/falco/webhook'))).toBe(204);
    await until('it is told', () => told.length > 0);
    expect(told.map(({ change, observation }) => [change, observation.spec.rule])).toEqual([['opened', 'shell']]);
    await until('it is due no more', async () => {
      const [one] = await world.stored();
      return one !== undefined && one.metadata.labels[outboxLabel] === undefined;
    });
  });

  it('sends no token to a receiver that it is not for', async () => {
    const both = { SINK_URL: 'http://localhost:1', ALERTMANAGER_URL: 'http://localhost:1', SINK_TOKEN_FILE: '/token' };
    await expect(createWorld().start(both)).rejects.toThrow(
      'alertmanager and sender would both be sent the token: set ALERTMANAGER_SINK_TOKEN_FILE or SENDER_SINK_TOKEN_FILE instead',
    );
  });

  it('sends each receiver its own token, and none to one that has none', async () => {
    const [one, two, three] = [await startReceiver(), await startReceiver(), await startReceiver()];
    const world = createWorld();
    const tokenOf = (sink: string): string => {
      const file = join(world.folder, `${sink}-token`);
      writeFileSync(file, `of-${sink}`);
      return file;
    };
    const mode = await world.start({
      ...{ ALERTMANAGER_URL: one.url, FALCOSIDEKICK_URL: two.url, SINK_URL: three.url },
      ...{ FALCOSIDEKICK_SINK_TOKEN_FILE: tokenOf('falcosidekick'), SENDER_SINK_TOKEN_FILE: tokenOf('sender') },
    });
    expect(await post(at(mode.url, '/falco/webhook'))).toBe(204);
    const all = [one, two, three];
    await until('all are told', () => all.every(({ told }) => told.length > 0));
    expect(all.map(({ tokens }) => [...tokens])).toEqual([
      [undefined],
      ['Bearer of-falcosidekick'],
      ['Bearer of-sender'],
    ]);
  });
});

describe('two of standalone mode', () => {
  /** Starts two and ends them when each has run its passes and gc; resolves to how many Observations are in which state. */
  async function round(world: ReturnType<typeof createWorld>): Promise<Record<string, number>> {
    const before = world.lines.length;
    const both = await Promise.all([world.start(), world.start()]);
    await until('both have run everything', () => {
      const handled = world.lines.slice(before).filter((line) => line.includes('"msg":"handled"'));
      return ['kyverno', 'gc'].every((name) => handled.filter((line) => line.includes(`"${name}"`)).length >= 2);
    });
    await Promise.all(both.map(({ stop }) => stop()));
    const states = (await world.stored()).map(({ metadata }) => metadata.labels[labels.state] ?? 'none');
    return Object.fromEntries([...Map.groupBy(states, (state) => state)].map(([state, all]) => [state, all.length]));
  }

  it('end as one does, with passes and gc of both at the same time', async () => {
    const world = createWorld();
    const rules = Array.from({ length: 20 }, (_, index) => `r${index}`);
    for (let index = 0; index < 20; index += 1) world.objects.all.push(policyReport(`web-${index}`, 'shop', rules));
    expect(await round(world)).toEqual({ open: 400 });
    world.objects.all.length = 10;
    const signal = new AbortController().signal;
    for (let index = 0; index < 50; index += 1) {
      const ended = anObservationOf(aFinding(`ended-${index}`, 'shop'), { hasState: false, now: 0 });
      await world.store.create(ended, signal);
    }
    expect(await round(world)).toEqual({ open: 200, missing: 200 });
    expect(world.lines.filter((line) => /"level":"(WARN|ERROR)"/.test(line))).toEqual([]);
  });
});

describe('the end of standalone mode', () => {
  it('waits for what is in flight, and takes nothing new', async () => {
    const writing = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const world = createWorld((store) => ({
      async create(observation, signal) {
        writing.resolve();
        await goOn.promise;
        return store.create(observation, signal);
      },
    }));
    const mode = await world.start();
    const url = at(mode.url, '/falco/webhook');
    const answered = post(url);
    await writing.promise;
    const stopped = mode.stop();
    await expect(post(url)).rejects.toThrow();
    goOn.resolve();
    expect(await answered).toBe(204);
    await stopped;
    expect(await world.stored()).toHaveLength(1);
  });
});
