import { existsSync, readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { encodeRequest } from '../edge/cloud-event-http.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import { Refusal } from '../function/refusal.ts';
import { traceIdOf } from '../function/trace-context.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';

export interface Sender {
  /** Resolves to the status of the answer, 503 if there is none. */
  sendTo(url: string, event: CloudEvent, signal: AbortSignal, token?: string): Promise<number>;
}

/** Many to one address, since a Broker answers only when every subscriber has got the event, retries included. */
const maxConnections = 64;

/** Sends events over keep-alive connections; `caCerts` (PEM) are trusted in addition to Node's own. */
export function createSender(caCerts?: string): Sender {
  const tls = caCerts ? { ca: [...rootCertificates, caCerts] } : {};
  /** By origin: the Broker's, and those of the functions that dead letters were for. */
  const clients = new Map<string, HttpClient>();

  function clientFor(url: URL): HttpClient {
    const client = clients.get(url.origin) ?? createHttpClient({ server: url, tls: () => tls, limit: maxConnections });
    clients.set(url.origin, client);
    return client;
  }

  async function post(
    url: URL,
    headers: Record<string, string>,
    body: string | Uint8Array,
    signal: AbortSignal,
  ): Promise<number> {
    const answer = await clientFor(url).send({
      method: 'POST',
      path: url.pathname + url.search,
      headers,
      body,
      signal,
    });
    // The body is of no use, but the connection is free for the next event only once it has been read.
    answer.on('error', () => undefined).resume();
    return answer.statusCode ?? 503;
  }

  return {
    async sendTo(url, event, signal, token) {
      const { headers, body } = encodeRequest(event);
      const { traceparent } = event.extensions;
      const more = {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // Proxies on the way look for the trace here, and not in the event.
        ...(traceIdOf(traceparent) !== undefined && { traceparent }),
      };
      return post(new URL(url), { ...headers, ...more }, body, signal).catch(() => 503);
    },
  };
}

export interface PublisherOptions {
  readonly sender: Sender;
  /** K_SINK. It is absent until the Broker is addressable, so a process starts without it. */
  readonly sink: string | undefined;
  /** K_CE_OVERRIDES: https://knative.dev/docs/eventing/custom-event-source/sinkbinding/reference/ */
  readonly extensions: Readonly<Record<string, string>>;
  /** Where a SinkBinding mounts the token for a Broker with OIDC. Without the file, no token is sent. */
  readonly tokenFile: string;
}

/** Read each time, since the kubelet replaces the file while the process runs. */
function tokenIn(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Publishes to the Broker. Throws a Refusal 503 unless the Broker has accepted the event. */
export function createPublisher({ sender, sink, extensions, tokenFile }: PublisherOptions) {
  return async (event: CloudEvent, signal: AbortSignal): Promise<void> => {
    if (sink === undefined) throw new Refusal(503, 'there is no Broker yet: K_SINK is not set', { retryAfter: 5 });
    const extended = { ...event, extensions: { ...event.extensions, ...extensions } };
    const status = await sender.sendTo(sink, extended, signal, tokenIn(tokenFile));
    if (status < 200 || status >= 300)
      throw new Refusal(503, 'the Broker did not take the event', { cause: `status ${status}` });
  };
}
