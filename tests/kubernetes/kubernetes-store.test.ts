import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createApiClient } from '../../shared/kubernetes/api-client.ts';
import { createKubernetesStore } from '../../shared/kubernetes/kubernetes-store.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

interface Answer {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: unknown;
}

function status(code: number, reason: string, message: string): Answer {
  return { status: code, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message } };
}

const taken = status(409, 'AlreadyExists', 'observations.zen.kube-zen.io "x" already exists');
const overQuota = status(403, 'Forbidden', 'observations.zen.kube-zen.io "x" is forbidden: exceeded quota: none');
const forbidden = status(403, 'Forbidden', 'observations.zen.kube-zen.io is forbidden: User "x" cannot do that');
const notFound = status(404, 'NotFound', 'observations.zen.kube-zen.io "x" not found');
const found = { status: 200, body: { kind: 'PartialObjectMetadata' } };
const byProxy = { status: 403, body: 'blocked by policy' };

const signal = AbortSignal.timeout(60_000);
const object = anObservationOf(aFinding('x', 'shop'));
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A store at an API server that answers what `answerTo` says to a method. */
async function connect(answerTo: (method: string | undefined) => Answer) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const answer = answerTo(request.method);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const client = createApiClient({
    credentials: {
      server: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
      tls: async () => ({}),
      authorization: async () => undefined,
    },
    sleep: async () => undefined,
    random: () => 0,
    attemptMilliseconds: 20_000,
  });
  closing.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return createKubernetesStore({ client, watchNamespace: undefined, defaultTtl: 3600 });
}

describe('what the Kubernetes store takes for a duplicate', () => {
  it.each([
    ['a conflict that is about something else', status(409, 'Conflict', 'the object has been modified')],
    ['a conflict without a reason', { status: 409, body: 'conflict' }],
  ])('is not %s', async (_case, answer) => {
    const store = await connect(() => answer);
    await expect(store.create(object, signal)).rejects.toMatchObject({ status: 503 });
  });

  it.each([
    ['a refusal to create or to read', forbidden],
    ['the answer of something between', byProxy],
  ])('is not %s, though name after name was taken before', async (_case, refusal) => {
    let isRefused = false;
    const store = await connect((method) => {
      if (isRefused) return refusal;
      return method === 'POST' ? taken : found;
    });
    for (let names = 0; names < 50; names += 1) expect(await store.create(object, signal)).toBe('exists');
    isRefused = true;
    await expect(store.create(object, signal)).rejects.toMatchObject({ status: 503 });
  });
});

describe('in a namespace that is full, the Kubernetes store', () => {
  const connectFull = (read: Answer) => connect((method) => (method === 'POST' ? overQuota : read));

  it('knows what is there', async () => {
    const store = await connectFull(found);
    expect(await store.create(object, signal)).toBe('exists');
  });

  it('says that it is full of what is not there', async () => {
    const store = await connectFull(notFound);
    await expect(store.create(object, signal)).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'full' });
  });

  it.each([
    ['is refused', forbidden],
    ['is answered by something between', byProxy],
  ])('says neither where reading %s, since it can not know', async (_case, read) => {
    const store = await connectFull(read);
    await expect(store.create(object, signal)).rejects.toMatchObject({ name: 'Refusal', status: 503 });
  });
});
