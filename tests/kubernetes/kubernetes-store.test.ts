import { once } from 'node:events';
import { createServer } from 'node:http';
import { PbfWriter } from 'pbf';
import { afterEach, describe, expect, it } from 'vitest';
import { createApiClient } from '../../shared/kubernetes/api-client.ts';
import { createKubernetesStore } from '../../shared/kubernetes/kubernetes-store.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

interface Answer {
  readonly status: number;
  /** Bytes are protobuf; anything else is sent as JSON. */
  readonly body: unknown;
}

/** The metadata of an Observation as an API server sends it: no more than whether it is being deleted. */
function metadata(isBeingDeleted: boolean): Answer {
  const writer = new PbfWriter();
  const writeTime = (seconds: number, to: PbfWriter): void => to.writeVarintField(1, seconds);
  const writeMetadata = (_isBeingDeleted: boolean, to: PbfWriter): void => {
    if (isBeingDeleted) to.writeMessage(9, writeTime, 1_772_366_400);
  };
  const writeItem = (_isBeingDeleted: boolean, to: PbfWriter): void =>
    to.writeMessage(1, writeMetadata, isBeingDeleted);
  for (const byte of 'k8s\0') writer.writeVarint(byte.charCodeAt(0));
  writer.writeMessage(2, writeItem, isBeingDeleted);
  return { status: 200, body: writer.finish() };
}

function status(code: number, reason: string, message: string): Answer {
  return { status: code, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message } };
}

const taken = status(409, 'AlreadyExists', 'observations.zen.kube-zen.io "x" already exists');
/** As the registry says it: https://github.com/kubernetes/apiserver/blob/master/pkg/registry/generic/registry/store.go */
const takenByDying = status(
  409,
  'AlreadyExists',
  'object is being deleted: observations.zen.kube-zen.io "x" already exists',
);
const overQuota = status(403, 'Forbidden', 'observations.zen.kube-zen.io "x" is forbidden: exceeded quota: none');
const forbidden = status(403, 'Forbidden', 'observations.zen.kube-zen.io is forbidden: User "x" cannot do that');
const notFound = status(404, 'NotFound', 'observations.zen.kube-zen.io "x" not found');
const found = metadata(false);
const dying = metadata(true);
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
      const isBytes = answer.body instanceof Uint8Array;
      response
        .writeHead(answer.status, {
          'content-type': isBytes ? 'application/vnd.kubernetes.protobuf' : 'application/json',
        })
        .end(isBytes ? answer.body : JSON.stringify(answer.body));
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
  return createKubernetesStore({ client, sleep: async () => undefined, watchNamespace: undefined, defaultTtl: 3600 });
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

describe('what is being deleted, for the Kubernetes store', () => {
  it('is no duplicate: it is tried again until the name is free', async () => {
    const answers: Answer[] = [takenByDying, takenByDying, { status: 201, body: {} }];
    const store = await connect(() => answers.shift() ?? byProxy);
    expect(await store.create(object, signal)).toBe('created');
  });

  it('is a duplicate once somebody else has stored it again', async () => {
    const answers: Answer[] = [takenByDying, taken];
    const store = await connect(() => answers.shift() ?? byProxy);
    expect(await store.create(object, signal)).toBe('exists');
  });

  it.each([
    ['at once', 0],
    ['after name after name was taken', 20],
  ])('keeps others from the name as long as it stays: %s', async (_case, names) => {
    let isDying = false;
    const store = await connect((method) => {
      if (method === 'POST') return isDying ? takenByDying : taken;
      return isDying ? dying : found;
    });
    for (let index = 0; index < names; index += 1) expect(await store.create(object, signal)).toBe('exists');
    isDying = true;
    await expect(store.create(object, signal)).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'blocked' });
  });

  it('is not there', async () => {
    const store = await connect(() => dying);
    expect(await store.find('shop', 'x', signal)).toBeUndefined();
  });

  it('takes no repeats', async () => {
    const body = { metadata: { resourceVersion: '1', deletionTimestamp: '2026-03-01T12:00:00Z' } };
    const store = await connect((method) => (method === 'GET' ? { status: 200, body } : byProxy));
    const repeats = { count: 1, lastObservedTime: '2026-03-01T12:00:00Z', seen: [] };
    expect(await store.addSeries({ namespace: 'shop', name: 'x' }, repeats, signal)).toBe('gone');
  });
});

describe('in a namespace that is full, the Kubernetes store', () => {
  const connectFull = (read: Answer) => connect((method) => (method === 'POST' ? overQuota : read));

  it('knows what is there', async () => {
    const store = await connectFull(found);
    expect(await store.create(object, signal)).toBe('exists');
  });

  it.each([
    ['is not there', notFound],
    ['is being deleted', dying],
  ])('says that it is full of what %s', async (_case, read) => {
    const store = await connectFull(read);
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
