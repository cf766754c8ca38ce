import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { announcementOf } from '../../functions/announce/event.ts';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { bearsOwnMark, ownMark } from '../../shared/api/own-mark.ts';
import { toldOf } from '../../shared/api/told.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { SinkFunction } from '../../shared/function/definitions.ts';
import { parseSettings, SettingsError } from '../../shared/function/settings.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createOutside } from '../../shared/transport/outside.ts';
import { expectNone } from '../facts/faults.ts';
import { atEnd } from '../host/at-end.ts';
import { temporaryFolder } from '../host/program.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { selfSigned } from '../transport/certificate.ts';

const signal = new AbortController().signal;
const noon = Date.parse('2026-03-01T12:00:00Z');

/** How each sink is told where its receiver is. */
const urlSettings: Readonly<Record<string, string>> = {
  alertmanager: 'ALERTMANAGER_URL',
  falcosidekick: 'FALCOSIDEKICK_URL',
  sender: 'SINK_URL',
};

const sinks = (await loadFunctions()).filter((one): one is SinkFunction => one.kind === 'sink');

/** A finding that is open, with words that are nowhere else. */
function finding(more: Record<string, string> = {}): Observation {
  const object = anObservationOf(aFinding('secretive-rule', 'hidden-namespace', 'private-workload'), {
    source: 'kyverno',
    now: noon,
  });
  const { metadata } = object;
  const stored = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-03-01T12:00:00Z' };
  return { ...object, metadata: { ...metadata, ...stored, labels: { ...metadata.labels, ...more } } };
}

function announcement(observation = finding()): CloudEvent {
  const now = toldOf(observation.metadata.labels, noon);
  return announcementOf(observation, { before: undefined, now, time: noon, cluster: 'prod' });
}

interface Received {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Receiver {
  readonly url: string;
  readonly received: Received[];
  close(): void;
}

type Answer = (response: ServerResponse, received: Received) => void;

const ok: Answer = (response) => void response.writeHead(200).end('ok');

/** A server that stands for the other side. */
async function startReceiver(answer: Answer = ok, tls?: ReturnType<typeof selfSigned>): Promise<Receiver> {
  const received: Received[] = [];
  const listener: RequestListener = (request, response) => {
    void text(request).then((body) => {
      const one = { url: request.url, headers: request.headers, body };
      received.push(one);
      answer(response, one);
    });
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  atEnd(close);
  const { port } = server.address() as AddressInfo;
  return { url: `${tls ? 'https' : 'http'}://localhost:${port}`, received, close };
}

/** A sink with its receiver, and what it logs. */
function createWorld(sink: SinkFunction, url: string, environment: Record<string, string> = {}) {
  const all = { [urlSettings[sink.name] ?? '']: url, CLUSTER_NAME: 'prod', ...environment };
  const { post } = createOutside();
  const test = createTestContext(sink, { environment: all, context: { post } });
  const lines: string[] = [];
  const log = createLog('DEBUG', 'test', { write: (line) => void lines.push(line) });
  const dispatcher = createDispatcher(log, createMetrics());
  const bound = { definition: sink, triggers: [], context: test.context, hint: () => undefined };
  return {
    ...test,
    lines,
    async tell(event = announcement()) {
      await test.store.create(finding(), signal);
      await dispatcher.handle(bound, event, signal);
    },
    async summary(event = announcement()) {
      await test.store.create(finding(), signal);
      return handled(sink, event, test.context);
    },
  };
}

describe('the sinks', () => {
  it('each have a setting for where the receiver is', () => {
    expectNone(
      sinks
        .filter(({ name }) => urlSettings[name] === undefined)
        .map(({ name }) => `urlSettings in tests/functions/sinks.test.ts lack ${name}`),
    );
  });
});

describe.each(sinks.map((sink) => ({ name: sink.name, sink })))('the sink $name', ({ name, sink }) => {
  const setting = urlSettings[name] ?? '';

  it('answers only once the receiver has', async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const receiver = await startReceiver((response) => resolve(response));
    let isTold = false;
    const told = createWorld(sink, receiver.url)
      .summary()
      .then((summary) => {
        isTold = true;
        return summary;
      });
    const response = await promise;
    expect(isTold).toBe(false);
    response.writeHead(202).end();
    expect((await told).announced).toEqual({ told: 1 });
    expect(receiver.received).toHaveLength(1);
  });

  it.each([400, 401, 403, 404, 409, 413, 422, 301])('gives up what is answered %i, with the words', async (status) => {
    const receiver = await startReceiver((response) => void response.writeHead(status).end('no such\nindex'));
    await expect(createWorld(sink, receiver.url).summary()).rejects.toMatchObject({
      status: 422,
      words: `${status} no such index`,
      summary: { announced: { refused: 1 } },
    });
  });

  it.each([
    [408, undefined, 1],
    [425, undefined, 1],
    [429, '7', 7],
    [500, undefined, 1],
    [502, 'nonsense', 1],
    [503, '30', 30],
    [504, '0', 1],
  ])('has %i tried again, after %s seconds', async (status, after, retryAfter) => {
    const headers = after === undefined ? {} : { 'retry-after': after };
    const receiver = await startReceiver((response) => void response.writeHead(status, headers).end());
    await expect(createWorld(sink, receiver.url).summary()).rejects.toMatchObject({
      status: 503,
      retryAfter,
      summary: { announced: { failed: 1 } },
    });
  });

  it('says once in the log that a receiver asks for a pause, and leaves it alone', async () => {
    const receiver = await startReceiver((response) => void response.writeHead(429, { 'retry-after': '30' }).end());
    const world = createWorld(sink, receiver.url);
    for (let times = 0; times < 3; times += 1) await expect(world.tell()).rejects.toMatchObject({ status: 503 });
    const refused = world.lines.filter((line) => line.includes('"refused"'));
    expect(refused.map((line) => JSON.parse(line).level)).toEqual(['WARN', 'DEBUG', 'DEBUG']);
    expect(receiver.received).toHaveLength(1);
  });

  it('has a date told by Retry-After waited for', async () => {
    const at = new Date(Date.now() + 100_000).toUTCString();
    const receiver = await startReceiver((response) => void response.writeHead(503, { 'retry-after': at }).end());
    const error = await createWorld(sink, receiver.url)
      .summary()
      .catch((cause) => cause.retryAfter);
    expect(error).toBeGreaterThan(50);
    expect(error).toBeLessThanOrEqual(100);
  });

  it('has it tried again if nobody answers', async () => {
    const receiver = await startReceiver();
    receiver.close();
    await expect(createWorld(sink, receiver.url).summary()).rejects.toMatchObject({ status: 503 });
    const cutting = await startReceiver((response) => void response.destroy());
    await expect(createWorld(sink, cutting.url).summary()).rejects.toMatchObject({ status: 503 });
  });

  it('says which settings tell it where to send', async () => {
    const addresses = sink.name === 'sender' ? 'SINK_URL or SINK_URL_FILE' : urlSettings[sink.name];
    const { context } = createTestContext(sink);
    await expect(handled(sink, announcement(), context)).rejects.toMatchObject({
      status: 503,
      message: `nobody has said where the receiver is: set ${addresses}`,
    });
  });

  it('takes its token from a file, each time', async () => {
    const receiver = await startReceiver();
    const file = join(temporaryFolder(), 'token');
    const world = createWorld(sink, receiver.url, { SINK_TOKEN_FILE: file });
    writeFileSync(file, 'alpha-token\n');
    await world.tell();
    writeFileSync(file, 'beta-token');
    await world.tell();
    expect(receiver.received.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer alpha-token',
      'Bearer beta-token',
    ]);
    rmSync(file);
    await expect(world.tell()).rejects.toMatchObject({ status: 503 });
    expect(receiver.received).toHaveLength(2);
    expect(world.lines.join('')).not.toMatch(/alpha-token|beta-token/);
  });

  it('takes no secret from a URL', () => {
    const environment = { [setting]: 'https://user:password@example.com/' };
    expect(() => parseSettings(environment, sink.settings, [])).toThrow(SettingsError);
    expect(() => parseSettings({ [setting]: 'ftp://example.com/' }, sink.settings, [])).toThrow(SettingsError);
  });

  it('trusts a CA of the user, and no other', async () => {
    const folder = temporaryFolder();
    const tls = selfSigned(folder);
    const receiver = await startReceiver(ok, tls);
    await expect(createWorld(sink, receiver.url).summary()).rejects.toMatchObject({ status: 503 });
    await createWorld(sink, receiver.url, { SINK_CA_FILE: join(folder, 'cert.pem') }).tell();
    expect(receiver.received).toHaveLength(1);
    expect(readFileSync(join(folder, 'cert.pem'), 'utf8')).toBe(tls.cert);
  });

  it('logs nothing of a finding, whatever the receiver says', async () => {
    const receiver = await startReceiver((response, { body }) => void response.writeHead(422).end(body));
    const world = createWorld(sink, receiver.url);
    await expect(world.tell()).rejects.toMatchObject({ words: expect.stringContaining('private-workload') });
    const telling = createWorld(sink, (await startReceiver()).url);
    await telling.tell();
    const { name: object } = finding().metadata;
    const logged = [...world.lines, ...telling.lines].join('\n').replaceAll(`hidden-namespace/${object}/${noon}`, 'ID');
    expect(logged).toContain('the receiver refuses it');
    expect(logged).not.toMatch(/secretive-rule|hidden-namespace|private-workload/);
  });

  it('refuses what is no announcement, naming the part', async () => {
    const world = createWorld(sink, 'http://localhost:1');
    await expect(world.summary({ ...announcement(), type: 'io.kube-zen.observation.eaten.v1' })).rejects.toMatchObject({
      status: 422,
      path: 'type',
    });
    await expect(world.summary({ ...announcement(), data: { metadata: {} } })).rejects.toMatchObject({
      status: 422,
      path: 'data',
    });
  });

  it('sends what bears our mark', async () => {
    const receiver = await startReceiver();
    await createWorld(sink, receiver.url).tell();
    expect(receiver.received[0]?.headers['content-type']).toContain('json');
    const sent: unknown = JSON.parse(receiver.received[0]?.body ?? '');
    const [item] = Array.isArray(sent) ? sent : [sent];
    expect(bearsOwnMark(item)).toBe(true);
  });

  it('reads announcements with a severity, labels and annotations that anybody may have written', async () => {
    const receiver = await startReceiver();
    const { metadata, ...rest } = finding();
    const spec = { ...rest.spec, severity: 'terrible' };
    const annotations = { 'zen.kube-zen.io/told': '{', 'zen.kube-zen.io/history': '7' };
    const odd = { ...metadata, uid: 'u', resourceVersion: '1', creationTimestamp: 'x', annotations };
    await createWorld(sink, receiver.url).tell({ ...announcement(), data: { ...rest, spec, metadata: odd } });
    expect(receiver.received).toHaveLength(1);
  });

  it('sends a finding that was deleted, too', async () => {
    const receiver = await startReceiver();
    await createWorld(sink, receiver.url).tell(announcement(finding({ [labels.state]: 'resolved' })));
    expect(receiver.received).toHaveLength(1);
  });
});

describe('what falcosidekick sends on', () => {
  it('is dropped at our own door', async () => {
    const receiver = await startReceiver();
    const sink = sinks.find(({ name }) => name === 'falcosidekick');
    if (!sink) throw new Error('no such sink');
    await createWorld(sink, receiver.url).tell();
    const sent: unknown = JSON.parse(receiver.received[0]?.body ?? '');
    expect(sent).toMatchObject({ output_fields: { [ownMark]: expect.any(String) } });
    const { context, store } = createTestContext(falco);
    const summary = await handled(falco, eventOf('falco.rule.output.v1', sent), context);
    expect(summary).toMatchObject({ skipped: { self: 1 }, created: [] });
    expect((await store.read({ limit: 1 })).items).toEqual([]);
  });
});

describe('what the audit log says of our own writes', () => {
  const patched = (username: string) => ({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    auditID: '11111111-2222-4333-8444-555555555555',
    stage: 'ResponseComplete',
    verb: 'patch',
    user: { username, groups: ['system:serviceaccounts'] },
    objectRef: { resource: 'observations', apiGroup: 'zen.kube-zen.io', namespace: 'shop', name: 'kyverno-1' },
    responseStatus: { code: 200 },
    requestReceivedTimestamp: '2026-03-01T12:00:00.000000Z',
  });

  it.each(['announce', 'alertmanager', 'kyverno'])('by %s makes no finding', async (name) => {
    const { context, store } = createTestContext(audit, { environment: { ANNOUNCE: 'true' } });
    const event = eventOf('io.kube-zen.audit.v1', patched(`system:serviceaccount:zen-system:${name}`));
    const summary = await handled(audit, event, context);
    expect(summary).toMatchObject({ created: [], due: 0, skipped: { own_write: 1 } });
    expect((await store.read({ limit: 1 })).items).toEqual([]);
  });

  it('by anybody else does', async () => {
    const { context } = createTestContext(audit, { environment: { ANNOUNCE: 'true' } });
    const event = eventOf('io.kube-zen.audit.v1', patched('eve'));
    expect(await handled(audit, event, context)).toMatchObject({ created: [{ count: 1 }] });
  });
});
