import { existsSync, readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { encodeRequest } from '../edge/cloud-event-http.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import { Refusal } from '../function/refusal.ts';
import { traceIdOf } from '../function/trace-context.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the response. */
  readonly limit: number;
  readonly token?: string | undefined;
}

export interface Sender {
  /** Sends an event to an address; resolves to the status of the response, or 503 if there is none. */
  sendTo(url: string, event: CloudEvent, options: SendOptions): Promise<number>;
}

/**
 * The limit of connections to one address. It is high, since a Broker answers only once every subscriber has the event,
 * or has failed to take it.
 */
const maxConnections = 64;

/** For the same reason, longer than an attempt at anything else may take: a function has as long for an event. */
const brokerMilliseconds = 60_000;

/** Sends events over keep-alive connections; `caCerts` (PEM) are trusted in addition to Node's own. */
export function createSender(caCerts?: string): Sender {
  const tls = caCerts ? { ca: [...rootCertificates, caCerts] } : {};
  /** Clients by origin: the Broker, and functions that are sent events directly. */
  const clients = new Map<string, HttpClient>();

  function clientFor(url: URL): HttpClient {
    const client = clients.get(url.origin) ?? createHttpClient({ server: url, tls: () => tls, limit: maxConnections });
    clients.set(url.origin, client);
    return client;
  }

  async function post(to: string, event: CloudEvent, { signal, limit, token }: SendOptions): Promise<number> {
    const url = new URL(to);
    const { headers, body } = encodeRequest(event);
    const { traceparent } = event.extensions;
    const response = await clientFor(url).send({
      method: 'POST',
      path: url.pathname + url.search,
      headers: {
        ...headers,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // Proxies on the way read the trace from this header, and not from the event.
        ...(traceIdOf(traceparent) !== undefined && { traceparent }),
      },
      body,
      signal,
      timeout: limit,
    });
    // The body is of no use, but the connection is free for the next event only once it has been read.
    response.on('error', () => undefined).resume();
    return response.statusCode ?? 503;
  }

  return { sendTo: (url, event, options) => post(url, event, options).catch(() => 503) };
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

/** Reads the token each time, since the kubelet replaces the file while the process runs. */
function tokenIn(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Publishes to the Broker. Throws a Refusal 503 unless the Broker has accepted the event. */
export function createPublisher({ sender, sink, extensions, tokenFile }: PublisherOptions) {
  return async (event: CloudEvent, signal: AbortSignal): Promise<void> => {
    if (sink === undefined) throw new Refusal(503, 'there is no Broker yet: K_SINK is not set', { retryAfter: 5 });
    const extended = { ...event, extensions: { ...event.extensions, ...extensions } };
    const token = tokenIn(tokenFile);
    const status = await sender.sendTo(sink, extended, { signal, limit: brokerMilliseconds, token });
    if (status < 200 || status >= 300)
      throw new Refusal(503, 'the Broker did not take the event', { cause: `status ${status}` });
  };
}
