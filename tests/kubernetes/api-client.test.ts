import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createApiClient } from '../../shared/kubernetes/api-client.ts';
import { type Credentials, serviceAccountCredentials } from '../../shared/kubernetes/credentials.ts';
import { temporaryFolder } from '../host/program.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

const saying = (message: string) => ({ kind: 'Status', status: 'Failure', message, code: 500 });

const cut: Answer = (request) => void request.socket.destroy();

/** A server that gives these answers in turn, the last one again and again, and a client that notes its pauses. */
async function connect(answers: readonly Answer[], attemptMilliseconds = 10_000, random = 0.5) {
  const connections = new Set<unknown>();
  const pauses: number[] = [];
  let asked = 0;
  const server = createServer((request, response) => {
    connections.add(request.socket);
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    request.resume().on('end', () => answer?.(request, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  let token = 0;
  const credentials: Credentials = {
    server: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    tls: async () => ({}),
    authorization: async (fresh) => {
      if (fresh) token += 1;
      return `Bearer ${token}`;
    },
  };
  const client = createApiClient({
    credentials,
    sleep(milliseconds) {
      pauses.push(milliseconds);
      return new Promise((resolve) => setImmediate(resolve));
    },
    random: () => random,
    attemptMilliseconds,
  });
  closing.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  const get = (signal = AbortSignal.timeout(20_000)) => client.request({ method: 'GET', path: '/x', signal });
  return { get, client, pauses, connections, asked: () => asked };
}

describe('the client of the API server', () => {
  it.each([
    ['429', json(429, {})],
    ['500', json(500, {})],
    [
      '503 in plain text',
      (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(503).end('busy'),
    ],
    ['a cut connection', cut],
    [
      'an answer that is cut short',
      (request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"items":', () => request.socket.destroy());
      },
    ],
    ['no answer in time', () => undefined],
  ] as [string, Answer][])('tries again after %s', async (_name, answer) => {
    const { get, asked } = await connect([answer, answer, json(200, { ok: true })], 200);
    expect(await get()).toMatchObject({ status: 200, body: { ok: true } });
    expect(asked()).toBeGreaterThanOrEqual(3);
  });

  it.each([200, 201, 400, 403, 404, 409, 410, 422])('takes %i for the last word', async (status) => {
    const { get, asked } = await connect([json(status, { kind: 'Status' })]);
    expect((await get()).status).toBe(status);
    expect(asked()).toBe(1);
  });

  it.each([0, 0.99])(
    'leaves the server alone for as long as Retry-After says, and little longer (%d)',
    async (random) => {
      const { get, pauses } = await connect([json(429, {}, { 'retry-after': '7' }), json(200, {})], 10_000, random);
      await get();
      const waited = pauses.reduce((sum, pause) => sum + pause, 0);
      expect(waited).toBeGreaterThanOrEqual(7000);
      expect(waited).toBeLessThan(10_000);
    },
  );

  it('waits longer with every try, up to some seconds, and not every client as long', async () => {
    const waitedWith = async (random: number): Promise<number[]> => {
      const { get, pauses } = await connect([...Array(15).fill(json(429, {})), json(200, {})], 10_000, random);
      await get();
      return pauses;
    };
    const [early, late] = [await waitedWith(0.1), await waitedWith(0.9)];
    const [first = 0, second = 0, third = 0] = late;
    expect(first).toBeLessThan(1000);
    expect([second > first, third > second]).toEqual([true, true]);
    expect(late).toEqual([...late].sort((a, b) => a - b));
    expect(late.at(-1)).toBeGreaterThan(1000);
    expect(late.at(-1)).toBeLessThan(30_000);
    for (const [index, pause] of early.entries()) expect(pause).toBeLessThan(late[index] ?? 0);
  });

  it('reads the token anew when it is refused, and says so where that is refused, too', async () => {
    const takes =
      (token: string): Answer =>
      (request, response) =>
        json(request.headers.authorization === `Bearer ${token}` ? 200 : 401, {})(request, response);
    expect((await (await connect([takes('1')])).get()).status).toBe(200);
    const { get, asked } = await connect([takes('none')]);
    await expect(get()).rejects.toMatchObject({ status: 503, message: 'the API server refuses our token' });
    expect(asked()).toBeLessThanOrEqual(3);
  });

  it('tries a conflict over a quota again, and no other', async () => {
    const quota = json(409, { kind: 'Status', reason: 'Conflict', details: { kind: 'resourcequotas' } });
    const { get, asked } = await connect([quota, json(201, {})]);
    expect((await get()).status).toBe(201);
    expect(asked()).toBe(2);
  });

  it('gives up with 503 when the deadline has passed', async () => {
    const { get } = await connect([json(500, {})]);
    const deadline = new AbortController();
    const failed = get(deadline.signal);
    setImmediate(() => deadline.abort());
    await expect(failed).rejects.toMatchObject({ status: 503 });
  });

  it.each<[what: string, body: unknown, cause: string | undefined]>([
    ['why', saying('etcdserver: mvcc: database space exceeded'), 'etcdserver: mvcc: database space exceeded'],
    ['nothing', {}, undefined],
    ['several lines', saying('a\n\u001b[2Jb'), 'a \\u{1b}[2Jb'],
    ['a secret', saying('no: password=hunter2hunter2'), 'no: password=***'],
    ['too much', saying('x'.repeat(5000)), `${'x'.repeat(255)}…`],
  ])('passes on in one short line what the API server says with a 500: %s', async (_what, body, cause) => {
    const { client } = await connect([json(500, body)]);
    const deadline = new AbortController();
    const reasons: string[] = [];
    const onRetry = (reason: string): void => {
      reasons.push(reason);
      deadline.abort();
    };
    const failed = client.request({ method: 'GET', path: '/x', signal: deadline.signal, onRetry });
    await expect(failed).rejects.toMatchObject({ message: 'the API server answered 500', cause });
    expect(reasons).toEqual([`the API server answered 500${cause === undefined ? '' : `: ${cause}`}`]);
  });

  it('says before each retry why there has to be one', async () => {
    const { client } = await connect([cut, () => undefined, json(429, {}), json(200, {})], 100);
    const reasons: string[] = [];
    const onRetry = (reason: string): void => void reasons.push(reason);
    await client.request({ method: 'GET', path: '/x', signal: AbortSignal.timeout(20_000), onRetry });
    expect(reasons).toEqual([
      'the API server can not be reached: ECONNRESET',
      'the API server can not be reached: no answer in time',
      'the API server answered 429',
    ]);
  });

  it('keeps its connections', async () => {
    const { get, connections } = await connect([json(200, {})]);
    for (let index = 0; index < 50; index += 1) await get();
    expect(connections.size).toBe(1);
  });

  it('makes no more connections than it may, however much is asked at once', async () => {
    const { get, connections, asked } = await connect([json(200, { ok: true })]);
    const answers = await Promise.all(Array.from({ length: 200 }, () => get()));
    expect(answers.map(({ status }) => status)).toEqual(Array(200).fill(200));
    expect(asked()).toBe(200);
    expect(connections.size).toBeLessThanOrEqual(32);
  });

  it('uses no connection again that has carried what was given up', async () => {
    const held: ServerResponse[] = [];
    const hold: Answer = (_request, response) => void held.push(response);
    const { get, connections } = await connect([hold, json(200, { ok: true })]);
    const deadline = new AbortController();
    const failed = get(deadline.signal);
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    deadline.abort();
    await expect(failed).rejects.toMatchObject({ status: 503 });
    held[0]?.end('late');
    expect((await get()).body).toEqual({ ok: true });
    expect(connections.size).toBe(2);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['before its answer has begun', () => undefined],
    ['in the middle of its answer', (response) => void response.write('   ')],
  ])('takes no answer of a call that was given up %s', async (_case, begin) => {
    const held: ServerResponse[] = [];
    const hold: Answer = (_request, response) => {
      begin(response);
      held.push(response);
    };
    const { get } = await connect([hold], 60_000);
    const deadline = new AbortController();
    const failed = get(deadline.signal);
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    deadline.abort();
    held[0]?.end('{"late":true}');
    await expect(failed).rejects.toMatchObject({ status: 503 });
  });

  it('takes no answer of a call whose time was over before', async () => {
    const { get } = await connect([json(200, {})], 60_000);
    await expect(get(AbortSignal.abort())).rejects.toMatchObject({ status: 503 });
  });

  it('ends a stream that is given up, and its connection with it', async () => {
    const held: ServerResponse[] = [];
    const { client } = await connect([
      (_request, response) => {
        response.write('{"first":true}\n');
        held.push(response);
      },
    ]);
    const stop = new AbortController();
    const answer = await client.stream({ method: 'GET', path: '/x', signal: stop.signal }, 60_000);
    if ('status' in answer) throw new Error(`answered ${answer.status}`);
    const values = answer[Symbol.asyncIterator]();
    expect(await values.next()).toEqual({ value: { first: true }, done: false });
    const closed = held[0] && once(held[0], 'close');
    stop.abort();
    held[0]?.write('{"second":true}\n');
    await expect(values.next()).rejects.toThrow();
    await closed;
  });

  it('gives up a stream that is silent for too long after its first value', async () => {
    const { client } = await connect([(_request, response) => void response.write('{"first":true}\n')]);
    const { signal } = new AbortController();
    const answer = await client.stream({ method: 'GET', path: '/x', signal }, 300);
    if ('status' in answer) throw new Error(`answered ${answer.status}`);
    const values = answer[Symbol.asyncIterator]();
    expect(await values.next()).toEqual({ value: { first: true }, done: false });
    await expect(values.next()).rejects.toThrow();
  });

  /** An answer in protobuf that begins, and goes on when told to. */
  const begun =
    (held: ServerResponse[]): Answer =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.kubernetes.protobuf' }).write('one');
      held.push(response);
    };

  async function open(answers: readonly Answer[], attemptMilliseconds = 10_000) {
    const connected = await connect(answers, attemptMilliseconds);
    const request = { method: 'GET', path: '/x', signal: AbortSignal.timeout(20_000) } as const;
    return { ...connected, response: await connected.client.open(request) };
  }

  it.each([['429', json(429, {})] as const, ['no answer in time', () => undefined] as const])(
    'tries again to open an answer after %s, and gives it as it arrives',
    async (_case, fault: Answer) => {
      const held: ServerResponse[] = [];
      const { response, asked } = await open([fault, begun(held)], 300);
      expect(asked()).toBe(2);
      if (!response.chunks) throw new Error(`answered ${response.status}`);
      const chunks = response.chunks[Symbol.asyncIterator]();
      expect(String((await chunks.next()).value)).toBe('one');
      held[0]?.end('two');
      expect(String((await chunks.next()).value)).toBe('two');
      expect((await chunks.next()).done).toBe(true);
    },
  );

  it('gives the whole of an answer that is no success, or no protobuf', async () => {
    expect((await open([json(403, { kind: 'Status' })])).response).toMatchObject({
      status: 403,
      body: { kind: 'Status' },
    });
    const { response } = await open([json(200, { items: [] })]);
    expect(response).toMatchObject({ status: 200, body: { items: [] } });
    expect(response.chunks).toBeUndefined();
  });

  it('gives up an answer that was opened and falls silent, or breaks off', async () => {
    const { response } = await open([begun([])], 300);
    await expect(Array.fromAsync(response.chunks ?? [])).rejects.toThrow('no answer in time');
    const held: ServerResponse[] = [];
    const { response: other } = await open([begun(held)]);
    const read = expect(Array.fromAsync(other.chunks ?? [])).rejects.toThrow();
    held[0]?.destroy();
    await read;
  });

  /** So many calls at a server that answers none that one between them waits for a connection. */
  async function crowd() {
    const seen: (string | undefined)[] = [];
    const held: ServerResponse[] = [];
    let isBusy = true;
    const answer: Answer = ({ url }, response) => {
      seen.push(url);
      if (isBusy) held.push(response);
      else response.end('{}');
    };
    const { client } = await connect([answer], 60_000);
    const ask = (path: string, signal = AbortSignal.timeout(20_000)) => client.request({ method: 'GET', path, signal });
    const askMany = (path: string) => Array.from({ length: 100 }, (_, index) => ask(`${path}-${index}`));
    const deadline = new AbortController();
    const before = askMany('/before');
    const waiting = ask('/waiting', deadline.signal).catch((error: unknown) => error);
    const others = Promise.all([...before, ...askMany('/after')]);
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const answerAll = (): void => {
      isBusy = false;
      for (const response of held) response.end('{}');
    };
    return { seen, waiting, others, answerAll, giveUp: () => deadline.abort() };
  }

  it('sends nothing that was given up while it waited for a connection', async () => {
    const { seen, waiting, others, answerAll, giveUp } = await crowd();
    giveUp();
    answerAll();
    expect(await waiting).toMatchObject({ name: 'Refusal', status: 503 });
    await others;
    expect(seen).toHaveLength(200);
    expect(seen).not.toContain('/waiting');
  });

  it('gives up at once what waits for a connection, however long the others take', async () => {
    const { waiting, others, answerAll, giveUp } = await crowd();
    giveUp();
    expect(await waiting).toMatchObject({ name: 'Refusal', status: 503 });
    answerAll();
    await others;
  });

  it('leaves alone what came after a call, when the time of that call is over', async () => {
    const held: ServerResponse[] = [];
    const hold: Answer = (_request, response) => void held.push(response);
    const { get, connections } = await connect([json(200, {}), hold]);
    const deadline = new AbortController();
    await get(deadline.signal);
    const second = get();
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    deadline.abort();
    held[0]?.end('{"second":true}');
    expect((await second).body).toEqual({ second: true });
    expect(connections.size).toBe(1);
  });

  it('sends no second request in a header', async () => {
    const { client, asked } = await connect([json(200, {})]);
    const signal = AbortSignal.timeout(50);
    const accept = 'application/json\r\n\r\nDELETE /x HTTP/1.1';
    await expect(client.request({ method: 'GET', path: '/x', accept, signal })).rejects.toMatchObject({ status: 503 });
    expect(asked()).toBe(0);
  });

  it('reads a long answer whole, in chunks or of a length', async () => {
    const items = Array.from({ length: 20_000 }, (_, index) => `item ${index} \u{1f600}`);
    const text = Buffer.from(JSON.stringify({ items }));
    const { get } = await connect([
      (_request, response) => void response.writeHead(200, { 'content-length': text.length }).end(text),
      (_request, response) => {
        response.writeHead(200);
        for (let at = 0; at < text.length; at += 9973) response.write(text.subarray(at, at + 9973));
        response.end();
      },
    ]);
    expect((await get()).body).toEqual({ items });
    expect(await get()).toEqual({ status: 200, body: { items }, bytes: text.length });
  });
});

describe('the credentials of a pod', () => {
  it('are read again within two minutes, not for every call, and at once when they were refused', async () => {
    const folder = temporaryFolder();
    const write = (token: string, ca: string): void => {
      writeFileSync(join(folder, 'token'), `${token}\n`);
      writeFileSync(join(folder, 'ca.crt'), ca);
    };
    let now = 0;
    const minute = 60_000;
    const { authorization, tls, server } = serviceAccountCredentials({ server: 'api:443', folder, elapsed: () => now });
    expect(server).toBe('https://api:443');
    write('one', 'CA one');
    expect([await authorization(false), await tls()]).toEqual(['Bearer one', { ca: 'CA one' }]);
    write('two', 'CA two');
    now = minute / 2;
    expect([await authorization(false), await tls()]).toEqual(['Bearer one', { ca: 'CA one' }]);
    expect(await authorization(true)).toBe('Bearer two');
    now = 2 * minute;
    expect(await tls()).toEqual({ ca: 'CA two' });
  });
});
