import { once } from 'node:events';
import { createServer } from 'node:http';
import { postTo } from './proxy.ts';

const json = { 'content-type': 'application/json' };

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface BrokerOptions {
  /** The subscribers, one or several, by type of CloudEvent. */
  readonly subscribers: ReadonlyMap<string, string | readonly string[]>;
  readonly deadLetterSink: string;
  /** Called before each event, which waits until it resolves. */
  readonly turn?: () => Promise<void>;
  /**
   * Once it says so, what waits for its next try is also tried each second until then: the later pauses take minutes, in
   * which a test that waits for the end of them sees nothing else. These tries don't count, so that none is given up sooner.
   */
  readonly isCalm?: () => boolean;
  /** Without one it has a free port. */
  readonly port?: number;
}

const retriedByBroker = new Set([0, 404, 408, 409, 429]);

const calmMilliseconds = 1000;

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** Resolves after so many milliseconds to `undefined`, or in calm, within a second, to the success of an early try. */
async function pauseOrSucceed(
  milliseconds: number,
  { isCalm, send }: { readonly isCalm: () => boolean; readonly send: () => Promise<number> },
): Promise<number | undefined> {
  const end = performance.now() + milliseconds;
  for (let left = milliseconds; left > 0; left = end - performance.now()) {
    await pause(Math.min(left, calmMilliseconds));
    if (!isCalm()) continue;
    const status = await send();
    if (isSuccess(status)) return status;
  }
  return undefined;
}

interface Delivery {
  readonly isCalm: () => boolean;
  /** Whether the Broker is gone, and with it what it was about to deliver. */
  readonly isGone: () => boolean;
}

/** Delivers as Knative's channel dispatcher does: 10 retries, exponential from 0.2 s. Resolves to the last status. */
async function deliver(
  url: string,
  headers: Record<string, string>,
  body: string,
  { isCalm, isGone }: Delivery,
): Promise<number> {
  const send = async (): Promise<number> => (isGone() ? 0 : postTo(url, headers, body));
  for (let tries = 0; ; tries += 1) {
    const status = await send();
    if (isSuccess(status) || isGone()) return status;
    if (!(retriedByBroker.has(status) || status >= 500) || tries === 10) return status;
    const success = await pauseOrSucceed(200 * 2 ** tries, { isCalm, send });
    if (success !== undefined) return success;
  }
}

/** A stand-in for the Broker of Knative Eventing, with the dispatcher's retries and its dead letters; 202 when all is over. */
export async function startBroker(options: BrokerOptions) {
  const { subscribers, deadLetterSink, turn, isCalm = () => false, port = 0 } = options;
  let isKilled = false;
  const delivery = { isCalm, isGone: () => isKilled };

  async function deliverTo(url: string, contentType: string, body: string): Promise<void> {
    const headers = { 'content-type': contentType, prefer: 'reply' };
    const status = await deliver(url, headers, body, delivery);
    if (isSuccess(status) || isKilled) return;
    const letter = {
      ...JSON.parse(body),
      knativeerrorcode: String(status),
      knativeerrordest: url,
      knativearrivaltime: new Date().toISOString(),
    };
    await deliver(deadLetterSink, headers, JSON.stringify(letter), delivery);
  }

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    // Whoever posts may be killed before all of it is here.
    incoming.on('error', () => undefined);
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      const event: { type: string } = JSON.parse(body);
      await turn?.();
      const urls = [subscribers.get(event.type) ?? []].flat();
      await Promise.all(urls.map((url) => deliverTo(url, incoming.headers['content-type'] ?? '', body)));
      outgoing.writeHead(202).end();
    });
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    stop: () => void server.close(),
    /** Breaks every connection and stops listening. */
    async kill() {
      isKilled = true;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Sends as Falco's http_output does: one after the other, whatever the answers; only after a time-out it tries again. */
export async function sendAsFalco(url: string, alerts: readonly string[]): Promise<void> {
  for (const alert of alerts) await postTo(`${url}/falco/webhook`, json, alert, 600_000);
}

/** Sends batches as kube-apiserver's audit webhook does: 5 tries of 30 s each. Resolves to the batches that it dropped. */
export async function sendAsApiServer(url: string, batches: readonly (readonly unknown[])[]): Promise<number> {
  let lost = 0;
  for (const items of batches) {
    const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
    let status = 0;
    for (let tries = 0; tries < 5 && status !== 204; tries += 1) {
      if (tries > 0) await pause(500 * 1.5 ** tries);
      status = await postTo(`${url}/audit/webhook?timeout=30s`, json, body, 30_000);
    }
    if (status !== 204) lost += 1;
  }
  return lost;
}

const retriedBySource = new Set([0, 404, 413, 425, 429, 502, 503, 504]);

/** Sends as ApiServerSource does: 5 retries over 3.1 s, then it drops the event. Resolves to whether it was delivered. */
export async function sendAsApiServerSource(
  url: string,
  { headers, body }: { headers: Record<string, string>; body: string },
): Promise<boolean> {
  for (let tries = 0; ; tries += 1) {
    const status = await postTo(url, headers, body);
    if (status >= 200 && status < 300) return true;
    if (!retriedBySource.has(status) || tries === 5) return false;
    await pause(100 * 2 ** tries);
  }
}
